//! What the agent answers itself: how it is, and what it has done.

use fuuffy_client::Body;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Agent;
use super::refusal::{Refusal, own};
use super::status::{CONTENT_TYPE, Rotation};

/// Answers a request to a path below `/-/`.
pub(super) fn answer(agent: &Agent, method: &Method, path: &str) -> Result<Response<Body>, Refusal> {
    let show: fn(&Agent) -> Response<Body> = match path {
        "health" => health,
        "metrics" => metrics,
        _ => return Err(Refusal::NotHere),
    };
    if method != Method::GET && method != Method::HEAD {
        return Err(Refusal::ReadOnly);
    }
    Ok(show(agent))
}

/// 200 when it can serve: there is a token.
fn health(agent: &Agent) -> Response<Body> {
    let (life, failure) = (agent.status.token_life(), agent.status.last_failure());
    let last_error = failure.as_ref().map(|(said, ago)| json!({"message": said, "seconds_ago": ago.as_secs()}));
    let mut body = json!({"data": {
        "token_held": life.is_some(),
        "token_expires_in": life.map(|life| life.as_secs()),
        "last_error": last_error,
        "rotation": agent.status.rotation().map(|rotation| shown(&rotation)),
        "base_url": agent.client.base_url().to_string(),
        "environment": agent.client.environment().as_str(),
    }});
    if life.is_some() {
        return own(StatusCode::OK, "application/json", body.to_string());
    }
    body["error"] = json!({
        "code": "service_unavailable",
        "message": "The agent has no access token",
        "details": "last_error says why; the agent goes on asking for one",
    });
    own(StatusCode::SERVICE_UNAVAILABLE, "application/json", body.to_string())
}

fn shown(Rotation { replaced_at, due_at, failure, is_by_hand }: &Rotation) -> Value {
    json!({
        "by_hand": is_by_hand,
        "replaced_seconds_ago": replaced_at.map(|at| at.elapsed().as_secs()),
        "due_in": due_at.map(|at| at.saturating_duration_since(Instant::now()).as_secs()),
        "last_error": failure.as_ref().map(|(said, at)| json!({"message": said, "seconds_ago": at.elapsed().as_secs()})),
    })
}

fn metrics(agent: &Agent) -> Response<Body> {
    match agent.status.text() {
        Ok(text) => own(StatusCode::OK, CONTENT_TYPE, text),
        // Writing into memory does not fail.
        Err(_) => own(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()),
    }
}
