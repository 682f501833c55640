use super::Printer;
use serde_json::{Value, json};

fn now() -> jiff::Timestamp {
    "2026-01-02T00:05:00Z".parse().unwrap()
}

fn names(printer: &Printer) -> Vec<&str> {
    printer.columns().as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect()
}

#[test]
fn custom_columns_convert_by_type() {
    let columns = json!([
        {"name": "S", "type": "string", "jsonPath": ".spec.n"},
        {"name": "I", "type": "integer", "jsonPath": ".spec.half", "priority": 1},
        {"name": "N", "type": "number", "jsonPath": ".spec.half"},
        {"name": "B", "type": "boolean", "jsonPath": ".spec.on"},
        {"name": "D", "type": "date", "jsonPath": ".spec.at"},
        {"name": "L", "type": "string", "jsonPath": ".spec.list"},
        {"name": "X", "type": "integer", "jsonPath": ".spec.text"},
        {"name": "M", "type": "string", "jsonPath": ".spec.missing"},
    ]);
    let printer = Printer::custom(Some(&columns)).unwrap();
    let object = json!({"metadata": {"name": "a"}, "spec": {"n": 5, "half": 1.5, "on": true,
        "at": "2026-01-02T00:00:00Z", "list": [1, "b"], "text": "t"}});
    assert_eq!(
        printer.cells(&object, now()),
        [
            json!("a"),
            json!("5"),
            json!(1),
            json!(1.5),
            json!(true),
            json!("5m"),
            json!("[1,\"b\"]"),
            Value::Null,
            Value::Null
        ]
    );
    assert_eq!(
        printer.columns()[2],
        json!({"name": "I", "type": "integer", "format": "", "description": "", "priority": 1})
    );
    assert_eq!(printer.columns()[0]["format"], "name");
}

#[test]
fn dates_that_make_no_sense_are_invalid() {
    let columns = json!([{"name": "D", "type": "date", "jsonPath": ".at"}]);
    let printer = Printer::custom(Some(&columns)).unwrap();
    for at in [json!("soon"), json!("2027-01-02T00:00:00Z"), json!(5)] {
        assert_eq!(printer.cells(&json!({"metadata": {"name": "a"}, "at": at}), now())[1], "<invalid>");
    }
}

#[test]
fn age_is_the_column_of_those_without_columns() {
    let printer = Printer::custom(None).unwrap();
    assert_eq!(names(&printer), ["Name", "Age"]);
    let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T23:59:30Z"}});
    assert_eq!(printer.cells(&object, now()), [json!("a"), json!("5m30s")]);
    assert_eq!(printer.bookmark_cells(), [json!(""), Value::Null]);
}

#[test]
fn builtin_kinds_print_as_upstream() {
    let deployment = json!({"metadata": {"name": "d", "creationTimestamp": "2026-01-02T00:00:00Z"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}},
            "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
        "status": {"readyReplicas": 1, "updatedReplicas": 2}});
    let printer = Printer::builtin("apps", "Deployment");
    assert_eq!(
        names(&printer),
        ["Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images", "Selector"]
    );
    assert_eq!(
        printer.cells(&deployment, now()),
        [json!("d"), json!("1/2"), json!(2), json!(0), json!("5m"), json!("c"), json!("i"), json!("a=b")]
    );
    let service = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIP": "10.0.0.1",
        "ports": [{"port": 80, "nodePort": 31135, "protocol": "TCP"}]}});
    let cells = Printer::builtin("", "Service").cells(&service, now());
    assert_eq!(cells[3..5], [json!("<none>"), json!("80:31135/TCP")]);
    let crd = Printer::builtin("apiextensions.k8s.io", "CustomResourceDefinition");
    assert_eq!(names(&crd), ["Name", "Created At"]);
}

#[test]
fn events_end_with_their_name() {
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "x"}, "type": "Normal",
        "reason": "R", "message": "m\n", "source": {"component": "c", "host": "h"}, "count": 3,
        "firstTimestamp": "2026-01-02T00:00:00Z", "lastTimestamp": "2026-01-02T00:04:00Z"});
    let printer = Printer::builtin("", "Event");
    assert_eq!(names(&printer).last(), Some(&"Name"));
    let cells = printer.cells(&event, now());
    assert_eq!(cells.len(), names(&printer).len());
    let expected = json!(["60s", "Normal", "R", "pod/x", "", "c, h", "m", "5m", 3, "e"]);
    assert_eq!(Value::from(cells), expected);
}

#[test]
fn every_builtin_printer_fills_its_columns() {
    for kind in crate::builtin::kinds() {
        let printer = Printer::builtin(kind.group, kind.kind);
        let cells = printer.cells(&json!({"metadata": {"name": "n"}}), now());
        assert_eq!(cells.len(), names(&printer).len(), "{}", kind.kind);
    }
}
