//! Functions that evaluate a predicate for each element of an array.

use std::collections::BTreeMap;

use crate::ast::{Expr, Operator, Predicate, PredicateKind};
use crate::error::EvalError;
use crate::functions::{is_descending, sorted};
use crate::operators;
use crate::value::{Array, Key, Value};

use super::{Evaluator, Outcome, Scope, boolean};

impl Evaluator {
    pub(super) fn predicate(&mut self, call: &Predicate) -> Outcome {
        let name = call.kind.name();
        let array = self.elements(call)?;
        let body = call.predicate.as_ref();
        match call.kind {
            PredicateKind::All | PredicateKind::None | PredicateKind::Any | PredicateKind::Find => {
                self.search(call.kind, &array, body, name)
            }
            PredicateKind::FindIndex => self.first_where(&array, body, name, true).map(position),
            PredicateKind::FindLast => {
                self.last_where(&array, body, name).map(|found| element(&array, found))
            }
            PredicateKind::FindLastIndex => self.last_where(&array, body, name).map(position),
            PredicateKind::One => self.places(&array, body, name).map(|found| (found.len() == 1).into()),
            PredicateKind::Count => self.places(&array, body, name).map(|found| integer(found.len())),
            PredicateKind::Filter => self.filter(&array, body),
            PredicateKind::Map => self.map_elements(&array, body),
            PredicateKind::Sum => self.sum(&array, body),
            PredicateKind::GroupBy => self.group_by(&array, body),
            PredicateKind::SortBy => self.sort_by(&array, body, call.extra.as_ref()),
            PredicateKind::Reduce => self.reduce(&array, body, call.extra.as_ref()),
        }
    }

    fn elements(&mut self, call: &Predicate) -> Result<Array, EvalError> {
        match self.value(&call.array)? {
            Value::Array(array) => Ok(array),
            other => {
                let reason = format!("expected an array, but got {}", other.type_name());
                Err(EvalError::Argument { function: call.kind.name(), reason })
            }
        }
    }

    /// The functions that the first element of a kind decides.
    fn search(
        &mut self,
        kind: PredicateKind,
        array: &Array,
        body: Option<&Expr>,
        name: &'static str,
    ) -> Outcome {
        let found = self.first_where(array, body, name, kind != PredicateKind::All)?;
        Ok(match kind {
            PredicateKind::Any => found.is_some().into(),
            PredicateKind::Find => element(array, found),
            _ => found.is_none().into(),
        })
    }

    fn filter(&mut self, array: &Array, body: Option<&Expr>) -> Outcome {
        let found = self.places(array, body, "filter")?;
        let kept = found.into_iter().map(|place| array.items()[place].clone()).collect();
        self.context.array(kept)
    }

    fn map_elements(&mut self, array: &Array, body: Option<&Expr>) -> Outcome {
        let mapped = self.mapped(array, body)?;
        self.context.array(mapped)
    }

    /// The predicate's value for one element; without a predicate, the element.
    fn at(&mut self, array: &Array, place: usize, body: Option<&Expr>, accumulator: Value) -> Outcome {
        let element = array.items()[place].clone();
        let Some(body) = body else {
            self.context.steps(1)?;
            return Ok(element);
        };
        self.scopes.push(Scope { element, index: place, accumulator });
        let value = self.value(body);
        self.scopes.pop();
        value
    }

    fn test(
        &mut self,
        array: &Array,
        place: usize,
        body: Option<&Expr>,
        name: &'static str,
    ) -> Result<bool, EvalError> {
        let value = self.at(array, place, body, Value::Nil)?;
        boolean(name, &value)
    }

    /// The first place where the predicate is `wanted`.
    fn first_where(
        &mut self,
        array: &Array,
        body: Option<&Expr>,
        name: &'static str,
        wanted: bool,
    ) -> Result<Option<usize>, EvalError> {
        for place in 0..array.items().len() {
            if self.test(array, place, body, name)? == wanted {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn last_where(
        &mut self,
        array: &Array,
        body: Option<&Expr>,
        name: &'static str,
    ) -> Result<Option<usize>, EvalError> {
        for place in (0..array.items().len()).rev() {
            if self.test(array, place, body, name)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// All places where the predicate is true.
    fn places(
        &mut self,
        array: &Array,
        body: Option<&Expr>,
        name: &'static str,
    ) -> Result<Vec<usize>, EvalError> {
        let mut found = Vec::new();
        for place in 0..array.items().len() {
            if self.test(array, place, body, name)? {
                found.push(place);
            }
        }
        Ok(found)
    }

    fn mapped(&mut self, array: &Array, body: Option<&Expr>) -> Result<Vec<Value>, EvalError> {
        let mut mapped = Vec::with_capacity(array.items().len());
        for place in 0..array.items().len() {
            mapped.push(self.at(array, place, body, Value::Nil)?);
        }
        Ok(mapped)
    }

    fn sum(&mut self, array: &Array, body: Option<&Expr>) -> Outcome {
        let mut total = Value::Int(0);
        for value in self.mapped(array, body)? {
            if value.as_float().is_none() {
                let reason = format!("expected numbers, but got {}", value.type_name());
                return Err(EvalError::Argument { function: "sum", reason });
            }
            total = operators::apply(&mut self.context, Operator::Add, &total, &value)?;
        }
        Ok(total)
    }

    fn group_by(&mut self, array: &Array, body: Option<&Expr>) -> Outcome {
        let mut groups: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for (value, element) in self.mapped(array, body)?.into_iter().zip(array.items()) {
            let Some(key) = Key::of(&value) else {
                let reason = format!("cannot group by {}", value.type_name());
                return Err(EvalError::Argument { function: "groupBy", reason });
            };
            groups.entry(key).or_default().push(element.clone());
        }
        self.context.elements(array.items().len())?;
        let groups = groups.into_iter().map(|(key, group)| (key, Value::array(group))).collect();
        self.context.map(groups)
    }

    fn sort_by(&mut self, array: &Array, body: Option<&Expr>, order: Option<&Expr>) -> Outcome {
        let keys = self.mapped(array, body)?;
        let order = order.map(|order| self.value(order)).transpose()?;
        let descending = order.map(|order| is_descending("sortBy", &order)).transpose()?.unwrap_or(false);
        let keyed = keys.into_iter().zip(array.items().iter().cloned()).collect();
        let sorted = sorted(&mut self.context, "sortBy", keyed, descending)?;
        self.context.array(sorted)
    }

    /// From the initial value, or else from the first element.
    fn reduce(&mut self, array: &Array, body: Option<&Expr>, initial: Option<&Expr>) -> Outcome {
        let initial = initial.map(|initial| self.value(initial)).transpose()?;
        let (start, mut accumulator) = match (initial, array.items().first()) {
            (Some(initial), _) => (0, initial),
            (None, Some(first)) => (1, first.clone()),
            (None, None) => {
                let reason = "an empty array needs an initial value".to_owned();
                return Err(EvalError::Argument { function: "reduce", reason });
            }
        };
        for place in start..array.items().len() {
            accumulator = self.at(array, place, body, accumulator)?;
        }
        Ok(accumulator)
    }
}

/// The element at a place that was found, or nil.
fn element(array: &Array, found: Option<usize>) -> Value {
    found.and_then(|place| array.items().get(place).cloned()).unwrap_or(Value::Nil)
}

fn position(found: Option<usize>) -> Value {
    found.map_or(Value::Nil, integer)
}

fn integer(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
