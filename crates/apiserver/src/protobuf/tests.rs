use super::{decode, type_of};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A message under construction.
#[derive(Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, number: u32, value: u64) -> Self {
        self.tag(number, 0);
        self.push(value);
        self
    }
    fn bytes(mut self, number: u32, bytes: &[u8]) -> Self {
        self.tag(number, 2);
        self.push(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }
    fn text(self, number: u32, text: &str) -> Self {
        self.bytes(number, text.as_bytes())
    }
    fn message(self, number: u32, inner: Message) -> Self {
        self.bytes(number, &inner.0)
    }
    fn entry(self, number: u32, key: &str, value: &str) -> Self {
        self.message(number, Message::default().text(1, key).text(2, value))
    }
    fn tag(&mut self, number: u32, wire: u64) {
        self.push(u64::from(number) << 3 | wire);
    }
    fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

fn envelope(api_version: &str, kind: &str, inner: Message) -> Vec<u8> {
    let meta = Message::default().text(1, api_version).text(2, kind);
    let unknown = Message::default().message(1, meta).message(2, inner).text(3, "").text(4, "");
    [b"k8s\0".as_slice(), &unknown.0].concat()
}

fn decoded(api_version: &str, kind: &str, inner: Message) -> Value {
    decode(&envelope(api_version, kind, inner), ("v1", "Other")).unwrap()
}

fn meta(name: &str) -> Message {
    // As upstream writes it: empty texts and a zero creation time included.
    Message::default().text(1, name).text(2, "").text(3, "").text(5, "").message(8, Message::default())
}

#[test]
fn corner_01_a_config_map_from_kubectl() {
    let inner = Message::default()
        .message(1, meta("c"))
        .entry(2, "a", "b")
        .entry(2, "empty", "")
        .message(3, Message::default().text(1, "bin").bytes(2, &[0, 255]));
    assert_eq!(
        decoded("v1", "ConfigMap", inner),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b", "empty": ""},
            "binaryData": {"bin": "AP8="}})
    );
}

#[test]
fn corner_02_zero_is_kept_where_it_was_a_pointer() {
    let strategy = Message::default().text(1, "");
    let labels = Message::default().entry(1, "a", "b");
    let container = Message::default()
        .text(1, "c")
        .text(2, "i")
        .message(8, Message::default())
        .text(14, "")
        .varint(16, 0);
    let pod = Message::default().message(2, container).text(3, "").varint(4, 0).varint(11, 0);
    let template = Message::default().message(1, meta("")).message(2, pod);
    let spec = Message::default()
        .varint(1, 0)
        .message(2, labels)
        .message(3, template)
        .message(4, strategy)
        .varint(5, 0)
        .varint(7, 0);
    let status = Message::default().varint(1, 0);
    let inner = Message::default().message(1, meta("d")).message(2, spec).message(3, status);
    assert_eq!(
        decoded("apps/v1", "Deployment", inner),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
            "replicas": 0, "selector": {"matchLabels": {"a": "b"}},
            "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 0}}}})
    );
    let spec = Message::default()
        .text(1, "")
        .varint(2, 15)
        .message(4, Message::default().varint(1, 1_767_323_045).varint(2, 120_000));
    let lease =
        decoded("coordination.k8s.io/v1", "Lease", Message::default().message(1, meta("l")).message(2, spec));
    assert_eq!(
        lease["spec"],
        json!({"holderIdentity": "", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T03:04:05.000120Z"}),
        "h_56: six decimals"
    );
}

#[test]
fn corner_03_delete_options() {
    let inner = Message::default().varint(1, 0).text(4, "Background");
    for version in ["v1", "meta.k8s.io/v1"] {
        let options = decoded(version, "DeleteOptions", inner.clone());
        assert_eq!(
            (&options["gracePeriodSeconds"], &options["propagationPolicy"]),
            (&json!(0), &json!("Background"))
        );
    }
}

#[test]
fn reviews_and_tokens() {
    let attributes = Message::default().text(1, "ns").text(2, "get").text(5, "pods");
    let spec = Message::default().message(1, attributes);
    let review =
        decoded("authorization.k8s.io/v1", "SelfSubjectAccessReview", Message::default().message(2, spec));
    assert_eq!(
        review["spec"],
        json!({"resourceAttributes": {"namespace": "ns", "verb": "get", "resource": "pods"}})
    );
    let spec = Message::default().text(1, "aud").varint(4, 600);
    let token = decoded("authentication.k8s.io/v1", "TokenRequest", Message::default().message(2, spec));
    assert_eq!(token["spec"], json!({"audiences": ["aud"], "expirationSeconds": 600}));
}

#[test]
fn special_types_have_their_json_form() {
    let port = |number: u64| Message::default().varint(1, 0).varint(2, number);
    let named = Message::default().varint(1, 1).text(3, "http");
    let ports =
        Message::default().text(1, "a").text(2, "TCP").varint(3, 80).message(4, port(8080)).varint(5, 0);
    let spec =
        Message::default().message(1, ports).message(1, Message::default().varint(3, 81).message(4, named));
    let service = decoded("v1", "Service", Message::default().message(2, spec));
    assert_eq!(
        service["spec"]["ports"][0],
        json!({"name": "a", "protocol": "TCP", "port": 80, "targetPort": 8080})
    );
    assert_eq!(service["spec"]["ports"][1]["targetPort"], "http");
    let quantity = Message::default().text(1, "cpu").message(2, Message::default().text(1, "500m"));
    let container = Message::default().text(1, "c").message(8, Message::default().message(1, quantity));
    let empty = Message::default().text(1, "v").message(2, Message::default().message(2, Message::default()));
    let pod = decoded(
        "v1",
        "Pod",
        Message::default().message(2, Message::default().message(1, empty).message(2, container)),
    );
    assert_eq!(pod["spec"]["containers"][0]["resources"], json!({"limits": {"cpu": "500m"}}));
    assert_eq!(
        pod["spec"]["volumes"],
        json!([{"name": "v", "emptyDir": {}}]),
        "an empty pointer says something"
    );
}

#[test]
fn schemas_inside_crds() {
    let string = Message::default().text(5, "string").varint(14, 0);
    let property = Message::default().text(1, "a").message(2, string.clone());
    let items = Message::default().message(1, string);
    let schema = Message::default()
        .text(5, "object")
        .message(29, property)
        .message(24, items)
        .message(30, Message::default().varint(1, 1));
    let version = Message::default()
        .text(1, "v1")
        .varint(2, 1)
        .varint(3, 1)
        .message(4, Message::default().message(1, schema));
    let crd = decoded(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        Message::default().message(2, Message::default().message(7, version)),
    );
    assert_eq!(
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 0}},
            "items": {"type": "string", "minLength": 0}, "additionalProperties": true})
    );
}

#[test]
fn bodies_that_are_none() {
    let error = decode(b"{}", ("v1", "ConfigMap")).unwrap_err().to_string();
    assert!(error.starts_with("provided data does not appear to be a protobuf message"));
    assert!(decode(b"k8s\0\x0a\xff", ("v1", "ConfigMap")).is_err());
    let unknown = envelope("example.com/v1", "Gizmo", Message::default());
    assert_eq!(
        decode(&unknown, ("v1", "ConfigMap")).unwrap_err().to_string(),
        "no kind \"Gizmo\" is registered for version \"example.com/v1\""
    );
    assert_eq!(type_of(&unknown).unwrap(), ("example.com/v1".to_owned(), "Gizmo".to_owned()));
    let bare =
        [b"k8s\0".as_slice(), &Message::default().message(2, Message::default().message(1, meta("c"))).0]
            .concat();
    assert_eq!(
        decode(&bare, ("v1", "ConfigMap")).unwrap()["metadata"]["name"],
        "c",
        "taken as the kind of the path"
    );
    let newer = Message::default().message(1, meta("c")).text(99, "future");
    assert_eq!(decoded("v1", "ConfigMap", newer)["metadata"]["name"], "c");
}

#[test]
fn nesting_has_an_end() {
    let mut schema = Message::default().text(5, "object");
    for _ in 0..300 {
        schema = Message::default().message(28, schema);
    }
    let version = Message::default().message(4, Message::default().message(1, schema));
    let crd = Message::default().message(2, Message::default().message(7, version));
    let body = envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd);
    assert!(decode(&body, ("", "")).unwrap_err().to_string().contains("nested deeper than 100"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0usize..5) {
        let (version, kind) = [("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Secret"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"), ("coordination.k8s.io/v1", "Lease")][kind];
        let _ = decode(&envelope(version, kind, Message(bytes.clone())), ("v1", "Pod"));
        let _ = decode(&[b"k8s\0".as_slice(), &bytes].concat(), ("v1", "Pod"));
    }
}
