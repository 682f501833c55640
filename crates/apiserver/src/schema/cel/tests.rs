//! Our evaluation against the library's own interpreter, on expressions both understand.

use super::{Budget, Expression, Scope, Verdict};
use crate::schema::{Schema, Type};
use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, Program, Value as CelValue};
use proptest::prelude::*;
use serde_json::Value;

fn number(depth: u32) -> BoxedStrategy<String> {
    let leaf = (0i64..6).prop_map(|number| number.to_string());
    if depth == 0 {
        return leaf.boxed();
    }
    let below = || number(depth - 1);
    let list = || prop::collection::vec(number(depth - 1), 1..4).prop_map(|items| items.join(", "));
    prop_oneof![
        leaf,
        (below(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), below())
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
        (truth(depth - 1), below(), below()).prop_map(|(test, yes, no)| format!("({test} ? {yes} : {no})")),
        (list(), below()).prop_map(|(list, part)| format!("[{list}].map(x, x + {part}).size()")),
        (list(), below()).prop_map(|(list, part)| format!("[{list}].filter(x, x > {part}).size()")),
        list().prop_map(|list| format!("[{list}].sum()")),
    ]
    .boxed()
}

fn truth(depth: u32) -> BoxedStrategy<String> {
    let leaf = any::<bool>().prop_map(|flag| flag.to_string());
    if depth == 0 {
        return leaf.boxed();
    }
    let below = || truth(depth - 1);
    let list = || prop::collection::vec(number(depth - 1), 1..4).prop_map(|items| items.join(", "));
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    prop_oneof![
        leaf,
        (below(), prop::sample::select(vec!["&&", "||", "==", "!="]), below())
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
        below().prop_map(|test| format!("!({test})")),
        (number(depth - 1), compare, number(depth - 1))
            .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
        (list(), number(depth - 1)).prop_map(|(list, part)| format!("[{list}].all(x, x >= {part})")),
        (list(), number(depth - 1)).prop_map(|(list, part)| format!("[{list}].exists(x, x == {part})")),
        (list(), number(depth - 1)).prop_map(|(list, part)| format!("[{list}].exists_one(x, x < {part})")),
        (number(depth - 1), list()).prop_map(|(part, list)| format!("({part} in [{list}])")),
        ("[ab]{0,3}", "[ab]{0,2}").prop_map(|(text, part)| format!("'{text}'.contains('{part}')")),
        ("[ab]{0,3}", "[ab]{0,2}").prop_map(|(text, part)| format!("('{text}' + '{part}' < '{part}')")),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn what_the_library_can_tell_we_tell_alike(source in truth(3)) {
        let program = Program::compile(&source).unwrap();
        let Ok(CelValue::Bool(wanted)) = program.execute(&Context::default().with_all()) else { return Ok(()) };
        let schema = Schema::of(Type::Any);
        let expression = Expression::compile(&source).unwrap();
        let verdict = Scope::new(&schema, &Value::Null, None).evaluate(&expression, false, &mut Budget::default());
        match verdict {
            Verdict::Holds => prop_assert!(wanted, "{}", source),
            Verdict::Fails => prop_assert!(!wanted, "{}", source),
            Verdict::Error(fault) => prop_assert!(false, "{}: {}", source, fault),
        }
    }
}
