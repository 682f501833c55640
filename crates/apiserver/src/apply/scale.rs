//! Applying to `/scale`: the one field of the small object is a field of its parent (`spec/apiserver.md` 12.8).

use super::managers::{Manager, Managers, Operation};
use super::set::{FieldSet, field_element};
use super::typed::same;
use super::{ApplyError, Conflict, Outcome, Writer, check_body, live_managers, same_but_times};
use crate::builtin::schema_of;
use crate::schema::Schema;
use serde_json::{Value, json};

/// The type of the small object.
pub const SCALE: (&str, &str) = ("autoscaling/v1", "Scale");

/// The field as conflicts name it: clients asked about a Scale.
const SHOWN: &str = ".spec.replicas";

/// Applies a Scale to its parent, whose number of replicas stands at `path`. The writer's apiVersion is the parent's.
/// A body without a number gives the field up and leaves its value alone.
pub fn apply_scale(
    schema: &Schema,
    parent: &Value,
    path: &[String],
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Outcome, ApplyError> {
    let scale = schema_of(SCALE.0, SCALE.1).expect("the type table knows Scale");
    check_body(scale, applied)?;
    let wanted = applied["spec"].get("replicas").filter(|number| !number.is_null());
    let live = path.iter().try_fold(parent, |value, name| value.get(name));
    let changes = wanted.is_some_and(|wanted| live.is_none_or(|live| !same(live, wanted)));
    let mut managers = live_managers(schema, parent, writer);
    let mut own = Manager::new(writer, Operation::Apply);
    let before = managers.position(&own).map(|at| managers.0.remove(at));
    let place: Vec<String> = path.iter().map(|name| field_element(name)).collect();
    let mut replicas = FieldSet::default();
    replicas.insert(&place);
    if changes {
        take_over(&mut managers, &replicas, force)?;
    }
    own.time = match (changes, &before) {
        (false, before) => before.as_ref().and_then(|before| before.time.clone()),
        (true, _) => Some(writer.time.to_owned()).filter(|time| !time.is_empty()),
    };
    let mut object = parent.clone();
    if let Some(wanted) = wanted {
        own.set = replicas;
        managers.0.push(own);
        set(&mut object, path, wanted.clone());
    }
    managers.store(&mut object);
    Ok(if same_but_times(parent, &object) { Outcome::Unchanged } else { Outcome::Changed(object) })
}

/// Takes the field from its other owners; without force they are in conflict.
fn take_over(managers: &mut Managers, replicas: &FieldSet, force: bool) -> Result<(), ApplyError> {
    let owners = managers.0.iter_mut().filter(|manager| !manager.set.intersection(replicas).is_empty());
    if force {
        owners.for_each(|manager| manager.set = manager.set.difference(replicas));
        return Ok(());
    }
    let mut conflicts: Vec<Conflict> =
        owners.map(|owner| Conflict { manager: owner.shown(), field: SHOWN.to_owned() }).collect();
    conflicts.sort();
    if conflicts.is_empty() { Ok(()) } else { Err(ApplyError::Conflicts(conflicts)) }
}

/// Sets the value at a path, making the objects on the way.
pub fn set(object: &mut Value, path: &[String], value: Value) {
    let [parents @ .., last] = path else { return };
    let mut place = object;
    for field in parents {
        if !place[field.as_str()].is_object() {
            place[field.as_str()] = json!({});
        }
        place = &mut place[field.as_str()];
    }
    place[last.as_str()] = value;
}
