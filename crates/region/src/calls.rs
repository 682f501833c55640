//! One call: read it, verify its signature, carry it out, record it, answer.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_ENCODING;
use http::request::Parts;

use crate::context::new_id;
use crate::faults::FaultKind;
use crate::identity::Principal;
use crate::journal::{Call, Detail, JOURNAL_PARAMETERS, Outcome};
use crate::protocol::{self, Answer, Protocol};
use crate::sigv4::SignedRequest;
use crate::state::State;
use crate::wire::{self, Fault, Input, Members, Value};
use crate::world::World;
use crate::{cloudwatch, eks, elbv2, faults, sts};

/// Largest body after decompression. PutMetricData, the largest request of the
/// services here, is limited to 1 MB on AWS.
const LARGEST_PLAIN_BODY: u64 = 4 * 1024 * 1024;

/// The services, by the name in signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    LoadBalancing,
    Eks,
    Sts,
    CloudWatch,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::LoadBalancing => "elasticloadbalancing",
            Self::Eks => "eks",
            Self::Sts => "sts",
            Self::CloudWatch => "monitoring",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::LoadBalancing | Self::Eks => elbv2::NAMESPACE,
            Self::Sts => sts::NAMESPACE,
            Self::CloudWatch => cloudwatch::NAMESPACE,
        }
    }

    /// The service that a signature names, if it speaks the protocol.
    fn find(name: &str, protocol: Protocol) -> Option<Self> {
        let all = [Self::LoadBalancing, Self::Eks, Self::Sts, Self::CloudWatch];
        let found = all.into_iter().find(|service| service.name() == name)?;
        let speaks = match protocol {
            Protocol::RestJson => found == Self::Eks,
            Protocol::AwsJson | Protocol::Cbor => found == Self::CloudWatch,
            Protocol::Query | Protocol::QueryJson => found != Self::Eks,
        };
        speaks.then_some(found)
    }
}

/// A request as it is understood before it is carried out.
struct Understood {
    action: String,
    input: Value,
}

/// Serves one request.
pub(crate) async fn serve(world: &Arc<World>, parts: Parts, body: Bytes) -> Answer {
    let received = world.now();
    let request_id = request_id(world);
    let protocol = Protocol::of(&parts);
    let mut call = Call {
        service: "",
        action: String::new(),
        caller: None,
        received,
        answered: received,
        outcome: Outcome::Accepted,
        parameters: BTreeMap::new(),
        detail: Detail::None,
    };
    let mut service = Service::LoadBalancing;
    let outcome = attempt(world, protocol, &parts, &body, &mut call, &mut service).await;
    let (protocol, namespace) = (answer_protocol(protocol, service), service.namespace());
    let answer = match &outcome {
        Ok(output) => {
            let output = (!has_no_output(&call.action)).then_some(output);
            protocol::accepted(protocol, namespace, &call.action, output, &request_id)
        }
        Err(fault) => {
            call.outcome = Outcome::Rejected { code: fault.code.to_owned() };
            protocol::refused(protocol, namespace, fault, &request_id)
        }
    };
    call.answered = world.now();
    log(&call);
    world.journal.record(call);
    answer
}

fn log(call: &Call) {
    let took = call.answered.monotonic.saturating_sub(call.received.monotonic);
    tracing::debug!(service = call.service, action = call.action, outcome = ?call.outcome, ?took, "call");
}

/// Only STS answers the Query protocol in JSON.
fn answer_protocol(protocol: Protocol, service: Service) -> Protocol {
    match protocol {
        Protocol::QueryJson if service != Service::Sts => Protocol::Query,
        other => other,
    }
}

/// Operations whose model has no output; their XML has no result element.
fn has_no_output(action: &str) -> bool {
    action == "PutMetricData"
}

async fn attempt(
    world: &Arc<World>,
    protocol: Protocol,
    parts: &Parts,
    body: &Bytes,
    call: &mut Call,
    service: &mut Service,
) -> Result<Members, Fault> {
    let request = SignedRequest {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
    };
    let signed = world.verify(&request).map_err(|error| protocol::signature_fault(protocol, &error))?;
    call.caller = Some(signed.principal.arn.clone());
    *service = Service::find(&signed.service, protocol).ok_or_else(|| {
        Fault::new(
            "InvalidAction",
            format!("This region has no service '{}' in this protocol", signed.service),
        )
    })?;
    call.service = service.name();
    let understood = understand(protocol, parts, body)?;
    call.action = understood.action.clone();
    call.parameters = parameters(&understood.input);
    let output = carry_out_on_such_a_day(world, *service, &understood, &signed.principal).await?;
    if *service == Service::LoadBalancing {
        call.detail = elbv2::detail(&understood.action, &Input::new(&understood.input), &output);
    }
    Ok(output)
}

fn understand(protocol: Protocol, parts: &Parts, body: &Bytes) -> Result<Understood, Fault> {
    let plain = decompress(parts, body)?;
    let unknown = || {
        Fault::new(
            "UnknownOperationException",
            format!("{} {} is no operation of this region", parts.method, parts.uri.path()),
        )
        .status(if protocol == Protocol::RestJson { 404 } else { 400 })
    };
    match protocol {
        Protocol::Query | Protocol::QueryJson => {
            let query = parts.uri.query().unwrap_or_default();
            let form = if parts.method == Method::GET { query.as_bytes() } else { &plain };
            let input = wire::decode_query(form)?;
            let action = Input::new(&input).member("Action").text()?;
            let action =
                action.ok_or_else(|| Fault::new("MissingAction", "The request has no parameter 'Action'"))?;
            Ok(Understood { action, input })
        }
        Protocol::RestJson => {
            let query = parts.uri.query().unwrap_or_default();
            let routed = eks::route(parts.method.as_str(), parts.uri.path(), query);
            let (action, mut members) = routed.ok_or_else(unknown)?;
            if let Value::Structure(body) = wire::decode_json(&plain)? {
                members.0.extend(body.0);
            }
            Ok(Understood { action: action.to_owned(), input: Value::Structure(members) })
        }
        Protocol::AwsJson | Protocol::Cbor => {
            let action = protocol::cloudwatch_action(protocol, parts).ok_or_else(unknown)?;
            let input = if protocol == Protocol::Cbor {
                wire::decode_cbor(&plain)?
            } else {
                wire::decode_json(&plain)?
            };
            Ok(Understood { action, input })
        }
    }
}

/// SDKs compress large PutMetricData requests.
fn decompress(parts: &Parts, body: &Bytes) -> Result<Bytes, Fault> {
    let Some(encoding) = parts.headers.get(CONTENT_ENCODING) else { return Ok(body.clone()) };
    if encoding != "gzip" {
        return Err(Fault::new(
            "SerializationException",
            format!("Content-Encoding {encoding:?} is not supported"),
        ));
    }
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(&body[..]).take(LARGEST_PLAIN_BODY + 1);
    reader
        .read_to_end(&mut plain)
        .map_err(|error| Fault::new("SerializationException", format!("the body is not gzip: {error}")))?;
    if plain.len() as u64 > LARGEST_PLAIN_BODY {
        return Err(Fault::new(
            "RequestEntityTooLarge",
            format!("the body is larger than {LARGEST_PLAIN_BODY} bytes when decompressed"),
        )
        .status(413));
    }
    Ok(plain.into())
}

/// Carries a call out, unless a fault befalls it.
async fn carry_out_on_such_a_day(
    world: &Arc<World>,
    service: Service,
    understood: &Understood,
    caller: &Principal,
) -> Result<Members, Fault> {
    let none = Members::new();
    let (action, input) = (understood.action.as_str(), understood.input.members().unwrap_or(&none));
    let Some(kind) = world.faults.draw(world.options.chance.as_ref(), action, input) else {
        return carry_out(world, service, understood, caller, &world.state()).await;
    };
    tracing::debug!(action, fault = kind.word(), "a fault befalls a call");
    let state = if kind == FaultKind::StaleRead { world.stale_state() } else { world.state() };
    match kind {
        FaultKind::Throttle => Err(faults::throttled(service == Service::Eks)),
        FaultKind::Error => Err(faults::unavailable()),
        FaultKind::TimeoutBefore => Err(hang(world).await),
        FaultKind::TimeoutAfter => {
            carry_out(world, service, understood, caller, &state).await?;
            Err(hang(world).await)
        }
        FaultKind::StaleRead => carry_out(world, service, understood, caller, &state).await,
        FaultKind::PartialPage => {
            let input = Value::Structure(faults::with_short_pages(action, input.clone()));
            let short = Understood { action: understood.action.clone(), input };
            carry_out(world, service, &short, caller, &state).await
        }
        FaultKind::Flap => carry_out(world, service, understood, caller, &state).await.map(faults::unhealthy),
        FaultKind::Vanish => Err(faults::not_found(action, input).unwrap_or_else(faults::unavailable)),
    }
}

/// No answer, for longer than callers wait.
async fn hang(world: &World) -> Fault {
    let _ = world.stop.run_until_cancelled(world.options.clock.sleep(faults::HANG)).await;
    faults::unavailable()
}

/// Carries a call out; reads are of this state.
async fn carry_out(
    world: &Arc<World>,
    service: Service,
    understood: &Understood,
    caller: &Principal,
    state: &State,
) -> Result<Members, Fault> {
    let input = Input::new(&understood.input);
    let context = world.context(caller);
    match service {
        Service::LoadBalancing => match elbv2::handler(&understood.action) {
            Some(elbv2::Handler::Read(read)) => read(&state.elb, &input, &context),
            Some(elbv2::Handler::Write(write)) => {
                world.change(|state| write(&mut state.elb, &input, &context)).await
            }
            None => Err(invalid_action(&understood.action, elbv2::VERSION)),
        },
        Service::Sts => match understood.action.as_str() {
            "GetCallerIdentity" => Ok(sts::caller_identity(&context)),
            "AssumeRole" => world.change(|state| sts::assume_role(state, &input, &context)).await,
            other => Err(invalid_action(other, "2011-06-15")),
        },
        Service::Eks => carry_out_eks(world, &understood.action, &input, caller, state).await,
        Service::CloudWatch => cloudwatch::carry_out(world, &understood.action, &input),
    }
}

async fn carry_out_eks(
    world: &Arc<World>,
    action: &str,
    input: &Input<'_>,
    caller: &Principal,
    state: &State,
) -> Result<Members, Fault> {
    let context = world.context(caller);
    let output = match eks::handler(action) {
        Some(eks::Handler::Read(read)) => read(&state.eks, input, &context),
        Some(eks::Handler::Write(write)) => {
            world.change(|state| write(&mut state.eks, input, &context)).await
        }
        None => {
            Err(Fault::new("UnknownOperationException", format!("{action} is no operation of this region"))
                .status(404))
        }
    };
    let output = output.map_err(|fault| match fault.code {
        "ValidationError" => Fault { code: "InvalidParameterException", ..fault },
        "InternalFailure" => Fault { code: "ServerException", ..fault },
        _ => fault,
    })?;
    if matches!(action, "CreateCluster" | "DeleteCluster" | "UpdateClusterVersion")
        && let Some(name) = input.member("name").text()?
    {
        eks::settle(world, &name);
    }
    Ok(output)
}

fn invalid_action(action: &str, version: &str) -> Fault {
    Fault::new(
        "InvalidAction",
        format!("Could not find operation {action} for version {version} in this region"),
    )
}

/// A request id in the form of a UUID.
fn request_id(world: &World) -> String {
    let chance = world.options.chance.as_ref();
    let (high, low) = (new_id(chance), new_id(chance));
    format!("{}-{}-{}-{}-{}", &high[..8], &high[8..12], &high[12..], &low[..4], &low[4..])
}

/// The members of a request in dotted form, without secrets.
fn parameters(input: &Value) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    flatten("", input, &mut flat);
    flat.retain(|name, _| !name.ends_with("ClientSecret") && !name.contains("X-Amz-"));
    while flat.len() > JOURNAL_PARAMETERS {
        flat.pop_last();
    }
    flat
}

fn flatten(path: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    let child = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let leaf = match value {
        Value::Structure(members) => {
            return members.0.iter().for_each(|(name, value)| flatten(&child(name), value, flat));
        }
        Value::List(values) => {
            let numbered = (1..).zip(values);
            return numbered
                .for_each(|(index, value)| flatten(&child(&format!("member.{index}")), value, flat));
        }
        Value::Dictionary(entries) => {
            return entries.iter().for_each(|(key, value)| flatten(&child(key), value, flat));
        }
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        Value::Time(value) => value.to_string(),
    };
    flat.insert(path.to_owned(), leaf);
}
