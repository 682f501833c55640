//! Security Token Service, API version 2011-06-15: who am I, and let me be
//! somebody else.
//!
//! Roles need not exist and trust everybody: the region has no IAM. What it
//! does check are the forms, the limits, and later the credentials it gave.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use sha2::{Digest, Sha256};

use crate::clock::Chance;
use crate::context::Context;
use crate::identity::RoleSession;
use crate::state::State;
use crate::wire::{Fault, Input, Members};

/// XML namespace of its answers.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Temporary credentials kept at most. Expired ones go first, then those that
/// expire soonest; okra refreshes one role every 55 minutes.
const MOST_SESSIONS: usize = 1000;

const DEFAULT_DURATION: u32 = 3600;
const LONGEST_DURATION: u32 = 43_200;
/// Longest session of a role that was assumed by a session of a role.
const LONGEST_CHAINED: u32 = 3600;

/// GetCallerIdentity.
pub(crate) fn caller_identity(context: &Context<'_>) -> Members {
    Members::new()
        .with("UserId", &context.caller.user_id)
        .with("Account", context.caller.account())
        .with("Arn", &context.caller.arn)
}

/// AssumeRole.
pub(crate) fn assume_role(
    state: &mut State,
    input: &Input<'_>,
    context: &Context<'_>,
) -> Result<Members, Fault> {
    let role_input = input.member("RoleArn");
    let role_arn = role_input.sized_text(20..=2048)?.ok_or_else(|| Fault::missing(role_input.path()))?;
    let (account, role) = read_role(&role_arn)?;
    let session_name = read_session_name(input)?;
    let chained = context.caller.arn.contains(":assumed-role/");
    let duration = input.member("DurationSeconds").integer_in(900u32..=LONGEST_DURATION)?;
    let duration = duration.unwrap_or(DEFAULT_DURATION);
    if chained && duration > LONGEST_CHAINED {
        return Err(Fault::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    input.member("ExternalId").sized_text(2..=1224)?;
    let role_id = format!("AROA{}", id_text(&Sha256::digest(role_arn.as_bytes())[..17]));
    let session = RoleSession {
        secret: secret(context.options.chance.as_ref(), 30),
        token: secret(context.options.chance.as_ref(), 180),
        expires: context.now + SignedDuration::from_secs(duration.into()),
        arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session_name}"),
        user_id: format!("{role_id}:{session_name}"),
    };
    let key = format!("ASIA{}", id_text(&random_bytes(context.options.chance.as_ref(), 16)));
    let answer = Members::new().with("Credentials", render(&key, &session)).with(
        "AssumedRoleUser",
        Members::new().with("AssumedRoleId", &session.user_id).with("Arn", &session.arn),
    );
    let answer = answer.maybe("SourceIdentity", input.member("SourceIdentity").sized_text(2..=64)?);
    make_room(state, context);
    state.sessions.insert(key, session);
    Ok(answer)
}

fn render(key: &str, session: &RoleSession) -> Members {
    Members::new()
        .with("AccessKeyId", key)
        .with("SecretAccessKey", &session.secret)
        .with("SessionToken", &session.token)
        .with("Expiration", session.expires)
}

fn make_room(state: &mut State, context: &Context<'_>) {
    // Expired ones stay for a while, so that their holders are told `ExpiredToken`.
    let forgotten = context.now - SignedDuration::from_hours(1);
    state.sessions.retain(|_, session| session.expires > forgotten);
    while state.sessions.len() >= MOST_SESSIONS {
        let soonest = state.sessions.iter().min_by_key(|(_, session)| session.expires);
        let Some(key) = soonest.map(|(key, _)| key.clone()) else { return };
        state.sessions.remove(&key);
    }
}

/// Account and name (without path) of `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
fn read_role(arn: &str) -> Result<(&str, &str), Fault> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", _, "iam", "", account, resource] = parts[..]
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && let Some(path) = resource.strip_prefix("role/")
        && let Some(name) = path.rsplit('/').next()
        && !name.is_empty()
    {
        return Ok((account, name));
    }
    Err(Fault::validation(format!("{arn} is invalid")))
}

fn read_session_name(input: &Input<'_>) -> Result<String, Fault> {
    let name_input = input.member("RoleSessionName");
    let name = name_input.sized_text(2..=64)?.ok_or_else(|| Fault::missing(name_input.path()))?;
    if name.chars().all(|character| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)) {
        return Ok(name);
    }
    Err(name_input.broken(&name, "Member must satisfy regular expression pattern: [\\w+=,.@-]*"))
}

fn random_bytes(chance: &dyn Chance, count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| chance.next_u64().to_le_bytes()).flatten().take(count).collect()
}

fn secret(chance: &dyn Chance, bytes: usize) -> String {
    STANDARD.encode(random_bytes(chance, bytes))
}

/// Upper-case letters and digits, one a byte, as in the ids of IAM.
fn id_text(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}
