//! Silences: an operator's word that something is known, so that nobody is told of it for a while. Knows nothing of
//! how an alert is kept back.

use std::time::Duration;

use fuuffy_domain::{AlertKind, AuditEvent, Cause, Silence, SilenceId, Timestamp};
use fuuffy_store::{KeptSilence, MOST_SILENCES, NewSilence, OutboxError, Part, PartOf};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::deed::{DeedError, Environment, client_id};

/// The longest silence.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// What nobody is to be told of.
#[derive(Deserialize, ToSchema)]
#[schema(as = SilenceAsked)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Whose alerts; everybody's where it is missing.
    #[schema(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    client_id: Option<String>,
    /// Alerts of this kind alone.
    #[schema(schema_with = kinds)]
    kind: Option<String>,
    /// For how long: up to 365 days.
    #[serde(rename = "for")]
    #[schema(pattern = r"^[0-9]{1,6}[smhd]$", example = "4h")]
    lasts: String,
}

/// A silence, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Silence)]
pub(crate) struct Shown {
    silence_id: String,
    #[schema(required = true)]
    client_id: Option<String>,
    #[schema(required = true)]
    kind: Option<&'static str>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Alerts that it kept back.
    silenced: u64,
    /// When the last of them was.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_silenced_at: Option<Timestamp>,
    why: String,
    /// Who, as in the audit log.
    #[schema(value_type = Object)]
    by: Value,
}

impl From<KeptSilence> for Shown {
    fn from(KeptSilence { made, at, times, last_at }: KeptSilence) -> Self {
        Self {
            silence_id: made.id.to_string(),
            client_id: made.client.map(|id| id.to_string()),
            kind: made.silence.kind.map(AlertKind::name),
            created_at: at,
            until: made.silence.until,
            silenced: times,
            last_silenced_at: last_at,
            why: made.why,
            by: serde_json::from_str(&made.by).unwrap_or_default(),
        }
    }
}

fn kinds() -> utoipa::openapi::schema::Object {
    let names: Vec<&str> = AlertKind::all().map(AlertKind::name).collect();
    let string = utoipa::openapi::schema::Type::String;
    utoipa::openapi::ObjectBuilder::new().schema_type(string).enum_values(Some(names)).build()
}

/// The silences that hold, the oldest first.
pub(crate) async fn list(environment: &Environment, PartOf { skip, take }: PartOf) -> Result<Part<Shown>, DeedError> {
    let silences = environment.outbox.silences(environment.clock.now()).await?;
    let total = silences.len();
    Ok(Part { items: silences.into_iter().skip(skip).take(take).map(Shown::from).collect(), total })
}

/// Has nobody told of something for a while.
pub(crate) async fn add(environment: &Environment, cause: Cause, asked: &Asked) -> Result<Shown, DeedError> {
    let kind = asked.kind.as_deref().map(kind).transpose()?;
    let until = cause.at.after(lasts(&asked.lasts)?);
    let words = "fuuffy-why: expected the reason of the silence, which is kept with it";
    let why = cause.why.clone().ok_or_else(|| DeedError::Invalid(words.to_owned()))?;
    let client = asked.client_id.as_deref().map(client_id).transpose()?;
    if client.as_ref().is_some_and(|id| environment.store.directory().find(id).is_none()) {
        return Err(DeedError::NotFound("client"));
    }
    if environment.outbox.silences(cause.at).await?.len() >= MOST_SILENCES {
        return Err(OutboxError::TooManySilences.into());
    }
    let mut random = [0; 12];
    environment.entropy.fill(&mut random)?;
    let by = serde_json::to_string(&cause.actor).unwrap_or_default();
    let silence = Silence { kind, until };
    let made = NewSilence { id: SilenceId::from_random(random), client, silence, by, why };
    let (silence_id, client_id, at) = (made.id.clone(), made.client.clone(), cause.at);
    // First the record, for the two are in different files: what is done is on record.
    let event = AuditEvent::AlertsSilenced { silence_id, client_id, kind: kind.map(AlertKind::name), until };
    environment.store.note(cause, event).await?;
    environment.outbox.silence(made.clone(), at).await?;
    tracing::info!(environment = %environment.name, silence_id = %made.id, %until, "Alerts are silenced");
    Ok(KeptSilence { made, at, times: 0, last_at: None }.into())
}

/// Ends a silence: what goes on still is told within a minute.
pub(crate) async fn end(environment: &Environment, cause: Cause, id: &str) -> Result<Shown, DeedError> {
    let id = SilenceId::parse(id).map_err(|_| DeedError::NotFound("silence"))?;
    let silences = environment.outbox.silences(cause.at).await?;
    let found = silences.into_iter().find(|kept| kept.made.id == id).ok_or(DeedError::NotFound("silence"))?;
    let event = AuditEvent::AlertsUnsilenced { silence_id: id.clone(), client_id: found.made.client.clone() };
    environment.store.note(cause, event).await?;
    environment.outbox.unsilence(id).await?;
    Ok(found.into())
}

fn kind(name: &str) -> Result<AlertKind, DeedError> {
    AlertKind::named(name).ok_or_else(|| {
        let nearest =
            AlertKind::all().map(AlertKind::name).min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let nearest = nearest.filter(|known| strsim::damerau_levenshtein(known, name) <= known.len() / 2);
        let all = || AlertKind::all().map(AlertKind::name).collect::<Vec<_>>().join(", ");
        let hint = nearest.map_or_else(|| format!("expected one of: {}", all()), |it| format!("did you mean {it}?"));
        DeedError::Invalid(format!("kind: no alert is called so; {hint}"))
    })
}

/// Reads `30m`, `4h` or `7d`: from a second to 365 days.
fn lasts(text: &str) -> Result<Duration, DeedError> {
    let words = "for: expected a whole number with the unit s, m, h or d, from 1s to 365d, as in \"4h\"";
    let refused = || DeedError::Invalid(words.to_owned());
    let at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(refused)?;
    let (number, unit) = text.split_at(at);
    let unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(refused()),
    };
    let is_number = (1..=6).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number).ok_or_else(refused)?;
    let lasts = Duration::from_secs(number.saturating_mul(unit));
    if lasts.is_zero() || lasts > LONGEST { Err(refused()) } else { Ok(lasts) }
}

#[cfg(test)]
mod tests;
