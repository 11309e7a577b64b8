//! The API's description (OpenAPI 3.1): paths and bodies by their types, and what the table of deeds says of
//! each: scopes, conditions, refusals.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::deeds;
use crate::roles::{DEEDS, Deed, Kind};

/// Where the API is, below the admin listener's own address.
const SERVER: &str = "/admin/v1/{environment}";

/// The statuses of refusals: those that any request can meet, and all.
const EVERYWHERE: [u16; 7] = [400, 401, 403, 404, 405, 413, 503];
const REFUSALS: [u16; 12] = [400, 401, 403, 404, 405, 409, 412, 413, 422, 428, 502, 503];

pub(super) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], openapi()).into_response()
}

/// The description, as JSON.
#[must_use]
pub fn openapi() -> String {
    let mut document = serde_json::to_value(deeds().into_openapi()).unwrap_or_default();
    document["info"] = json!({
        "title": "Fuuffy Gateway, for operators",
        "version": "1",
        "description": "What operators do, on the admin listener. A path is below the environment that it is about.",
        "license": {"name": "MIT OR Apache-2.0"},
    });
    document["servers"] = json!([{"url": SERVER, "variables": {
        "environment": {"enum": ["testing", "production"], "default": "testing"},
    }}]);
    let components = &mut document["components"];
    components["securitySchemes"] = json!({"bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of the environment, of a client with the scope that the deed asks for.",
    }});
    components["schemas"]["Error"] = error();
    components["headers"] = json!({
        "X-Request-Id": {
            "description": "What the audit log knows the request by.",
            "required": true,
            "schema": {"type": "string", "format": "uuid"},
        },
        "ETag": {
            "description": "The state of the client, for If-Match.",
            "schema": {"type": "string", "pattern": "^\"[0-9]+\"$"},
        },
        "Idempotency-Replayed": {
            "description": "There where the answer is that of an earlier request with the same Idempotency-Key.",
            "schema": {"type": "string", "const": "true"},
        },
        "WWW-Authenticate": {"schema": {"type": "string"}},
        "Allow": {"schema": {"type": "string"}},
        "Retry-After": {"schema": {"type": "string"}},
    });
    for name in ["Revocation", "PublicKey"] {
        for form in components["schemas"][name]["oneOf"].as_array_mut().into_iter().flatten() {
            form["additionalProperties"] = false.into();
        }
    }
    for status in REFUSALS {
        components["responses"][status.to_string()] = refusal(status);
    }
    for deed in &DEEDS {
        let method = deed.method.as_str().to_ascii_lowercase();
        let operation = &mut document["paths"][deed.path][method];
        // What is in the table alone stays so, and a test finds it.
        if operation.is_object() {
            complete(operation, deed);
        }
    }
    // Two spaces and a new line at the end, as files have it.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn error() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "description": "code is for programs and never changes; message says what happened; details says what to do next.",
            "properties": {"code": text, "message": text, "details": text},
        }},
    })
}

/// Adds to an operation what the table says of its deed.
fn complete(operation: &mut Value, deed: &Deed) {
    operation["security"] = json!([{"bearer": [deed.scope]}]);
    let mut parameters = path_parameters(deed.path);
    let mut refusals = EVERYWHERE.to_vec();
    if matches!(deed.kind, Kind::Change | Kind::Addition) {
        parameters.push(header_parameter(
            "If-Match",
            true,
            "The ETag of the client as it was seen, or * for any. Not needed through the socket.",
            r#"^("[0-9]{1,9}"|\*)$"#,
        ));
        refusals.extend([412, 428]);
    }
    if matches!(deed.kind, Kind::Creation | Kind::Addition) {
        parameters.push(header_parameter(
            "Idempotency-Key",
            false,
            "Makes the same request happen once within 24 hours, however often it is sent.",
            "^[!-~]{1,128}$",
        ));
        refusals.extend([409, 422]);
    }
    if deed.path == "/clients/{client}/keys" && deed.kind == Kind::Read {
        refusals.push(502);
    }
    if deed.path == "/clients/{client}" && deed.method == axum::http::Method::PATCH {
        refusals.push(409);
    }
    if deed.path == "/alerts/test" {
        refusals.extend([409, 502]);
    }
    if deed.path == "/silences" && deed.kind != Kind::Read {
        let description = "Why, for the audit log and whoever lists silences.";
        parameters.push(header_parameter("Fuuffy-Why", true, description, "^[!-~]([ -~]{0,298}[!-~])?$"));
        refusals.push(409);
    } else if deed.kind != Kind::Read {
        parameters.push(header_parameter("Fuuffy-Why", false, "Why, for the audit log.", "^[ -~]{0,300}$"));
    }
    if let Some(known) = operation["parameters"].as_array() {
        parameters.extend(known.iter().cloned());
    }
    operation["parameters"] = parameters.into();
    if deed.path.ends_with("/retire") {
        operation["requestBody"]["required"] = false.into();
    }
    let is_of_client = !matches!(deed.kind, Kind::Revocation | Kind::Errand);
    let tells_state = is_of_client && (deed.kind != Kind::Read || deed.path.contains('{'));
    for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        response["description"] = "It is done, or shown.".into();
        response["headers"] = json!({"X-Request-Id": reference("X-Request-Id")});
        if tells_state && !deed.path.ends_with("/tokens") {
            response["headers"]["ETag"] = reference("ETag");
        }
        if matches!(deed.kind, Kind::Creation | Kind::Addition) {
            response["headers"]["Idempotency-Replayed"] = reference("Idempotency-Replayed");
        }
    }
    refusals.sort_unstable();
    for status in refusals {
        operation["responses"][status.to_string()] = json!({"$ref": format!("#/components/responses/{status}")});
    }
}

fn reference(header: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{header}")})
}

/// A refusal of this status.
fn refusal(status: u16) -> Value {
    let (words, field) = words(status);
    let mut headers = json!({"X-Request-Id": reference("X-Request-Id")});
    if let Some(field) = field {
        headers[field] = reference(field);
    }
    json!({
        "description": words,
        "headers": headers,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    })
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": format!("The id of the {name}."),
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        })
    };
    names.map(parameter).collect()
}

fn header_parameter(name: &str, required: bool, description: &str, pattern: &str) -> Value {
    let schema = json!({"type": "string", "pattern": pattern});
    json!({"name": name, "in": "header", "required": required, "description": description, "schema": schema})
}

/// What a refusal of this status means, and the field that it has besides.
const fn words(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        400 => ("invalid_request: the request is not what it must be.", None),
        401 => ("missing_token or invalid_token.", Some("WWW-Authenticate")),
        403 => ("insufficient_scope: the token lacks the scope; browser_refused: a browser asks.", None),
        404 => ("not_found: there is none in this environment.", None),
        405 => ("method_not_allowed.", Some("Allow")),
        409 => (
            "too_many_secrets, too_many_keys: the client has three; too_many_identities, too_many_certificates: it has ten; key_exists, identity_exists, certificate_exists: it has that one; keys_published: it publishes its keys; issuer_untrusted: the configuration has no such issuer; mutual_tls_off, authorities_missing: it asks nobody for certificates, or names no authority; too_many_silences: end one first; no_webhook: there is nobody to tell.",
            None,
        ),
        412 => ("precondition_failed: the client was changed since it was seen.", None),
        413 => ("payload_too_large: the body is over 64 KiB.", None),
        422 => ("idempotency_key_reused: the key stands for another request.", None),
        428 => ("precondition_required: If-Match is missing.", None),
        502 => (
            "alert_undelivered: the test alert was not taken; keys_unusable: the keys that the client publishes cannot be used.",
            None,
        ),
        _ => ("service_unavailable: nothing was changed.", Some("Retry-After")),
    }
}
