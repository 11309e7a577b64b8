//! The guide as a reader would walk it, step by step: the command to type, and the true answer to it,
//! checked against what the guide promises.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Body;
use fuuffy_domain::{EnvironmentName, Lifetime};
use fuuffy_protocol::{AccessToken, ClientSecret};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::call::{Answer, Api};
use crate::server::Addresses;

/// The guide's exact answer to an expired token.
const EXPIRED: &str = r#"{"error":{"code":"invalid_token","message":"The access token expired","details":"Please request a new access token"}}"#;

/// What the walk goes through.
pub(super) struct Stage {
    pub(super) addresses: Addresses,
    pub(super) api: Router,
    pub(super) config: PathBuf,
    pub(super) short_life: Lifetime,
    pub(super) is_terminal: bool,
    pub(super) json: bool,
}

/// A registered client and where it calls.
struct Registered {
    base_url: String,
    id: String,
    secret: ClientSecret,
    api: Api,
}

impl Stage {
    pub(super) async fn walk(&self, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
        let testing = self.register(EnvironmentName::Testing, "Demo", None).await?;
        let production = self.register(EnvironmentName::Production, "Demo", None).await?;
        let hasty = self.register(EnvironmentName::Testing, "Demo, short-lived", Some(self.short_life)).await?;

        let answer = testing.ask_for_token().await?;
        self.tell(out, "Get an access token in testing", &testing.token_command(), &answer)?;
        expect(&answer, StatusCode::OK)?;
        let token = answer.access_token()?;

        let answer = testing.api.get("/orders?per_page=2", &token).await?;
        self.tell(out, "Use it: list the orders", &testing.get_command("/orders?per_page=2", &token), &answer)?;
        expect(&answer, StatusCode::OK)?;
        ensure!(json_of(&answer)["pagination"]["total"].is_u64(), "the orders came without pagination");

        let answer = testing.api.get("/orders/ord_7", &token).await?;
        self.tell(out, "One order", &testing.get_command("/orders/ord_7", &token), &answer)?;
        expect(&answer, StatusCode::OK)?;

        let order = r#"{"item":"Teapot","quantity":2}"#;
        let answer = testing.api.post_json("/orders", &token, order).await?;
        self.tell(out, "Make an order", &testing.post_command("/orders", &token, order), &answer)?;
        expect(&answer, StatusCode::CREATED)?;

        let answer = production.api.get("/orders", &token).await?;
        let title = "The same token in production: each environment is a world of its own";
        self.tell(out, title, &production.get_command("/orders", &token), &answer)?;
        expect(&answer, StatusCode::UNAUTHORIZED)?;

        let answer = production.ask_for_token().await?;
        self.tell(out, "Production has credentials of its own", &production.token_command(), &answer)?;
        expect(&answer, StatusCode::OK)?;

        self.show_expiry(&hasty, out, err).await?;
        self.tell_what_to_try(&testing, &production, out)
    }

    async fn show_expiry(&self, hasty: &Registered, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
        let seconds = self.short_life.seconds();
        let answer = hasty.ask_for_token().await?;
        self.tell(out, &format!("A token that lives {seconds} s"), &hasty.token_command(), &answer)?;
        expect(&answer, StatusCode::OK)?;
        let token = answer.access_token()?;

        let command = hasty.get_command("/orders?per_page=1", &token);
        let answer = hasty.api.get("/orders?per_page=1", &token).await?;
        self.tell(out, "It works", &command, &answer)?;
        expect(&answer, StatusCode::OK)?;

        for left in (1..=seconds).rev() {
            if self.is_terminal {
                write!(err, "\rWaiting for it to expire: {left} s ")?;
                err.flush()?;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if self.is_terminal {
            write!(err, "\r{:40}\r", "")?;
        }
        let answer = hasty.api.get("/orders?per_page=1", &token).await?;
        self.tell(out, &format!("After {seconds} s it is refused, in the guide's words"), &command, &answer)?;
        expect(&answer, StatusCode::UNAUTHORIZED)?;
        ensure!(answer.body == EXPIRED, "the answer is not the guide's");
        Ok(())
    }

    /// Makes a client as an operator does.
    async fn register(
        &self,
        environment: EnvironmentName,
        name: &str,
        life: Option<Lifetime>,
    ) -> anyhow::Result<Registered> {
        let wanted = json!({"name": name, "scope": "orders:read orders:write", "token_lifetime": life.map(|life| life.to_string())});
        let request = Request::post(format!("/admin/v1/{environment}/clients")).body(Body::from(wanted.to_string()))?;
        let response = self.api.clone().oneshot(request).await?;
        let body: Value = serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 65_536).await?)?;
        let member = |name: &str| {
            body["data"][name].as_str().with_context(|| format!("a client could not be made: {}", body["error"]))
        };
        let address = match environment {
            EnvironmentName::Testing => self.addresses.testing,
            EnvironmentName::Production => self.addresses.production,
        };
        let base_url = format!("http://{}/v1", address.context("the environment is not served")?);
        Ok(Registered {
            id: member("client_id")?.to_owned(),
            secret: ClientSecret::presented(member("client_secret")?),
            api: Api::new(&base_url)?,
            base_url,
        })
    }

    fn tell(&self, out: &mut dyn Write, title: &str, command: &str, answer: &Answer) -> anyhow::Result<()> {
        if self.json {
            let step =
                json!({"step": title, "command": command, "status": answer.status.as_u16(), "answer": json_of(answer)});
            writeln!(out, "{step}")?;
        } else {
            let body = String::from_utf8_lossy(&answer.body);
            writeln!(out, "# {title}\n$ {command}\n{}\n{body}\n", answer.status)?;
        }
        Ok(out.flush()?)
    }

    fn tell_what_to_try(
        &self,
        testing: &Registered,
        production: &Registered,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let config = self.config.display();
        // What was started here, for it may be on no search path yet.
        let fuuffy = std::env::current_exe().map_or_else(|_| "fuuffy".to_owned(), |path| path.display().to_string());
        if self.json {
            let client = |it: &Registered| json!({"base_url": it.base_url, "client_id": it.id, "client_secret": it.secret.reveal()});
            let ready = json!({"ready": self.addresses, "testing": client(testing), "production": client(production), "config": config.to_string()});
            writeln!(out, "{ready}")?;
        } else {
            writeln!(
                out,
                "# Serving until Ctrl-C. To try, as an integrator:\n{}\n\
                 $ {fuuffy} request GET /orders\n$ {fuuffy} doctor\n$ {fuuffy} agent\n\
                 # As an operator:\n$ curl http://{}/metrics\n\
                 $ {fuuffy} clients list --environment testing --config {config}\n\
                 $ {fuuffy} clients suspend --environment testing --config {config} {}\n\
                 # Production has a client of its own:\n$ {}",
                testing.export_command(),
                self.addresses.admin,
                testing.id,
                production.token_command(),
            )?;
        }
        Ok(out.flush()?)
    }
}

impl Registered {
    async fn ask_for_token(&self) -> anyhow::Result<Answer> {
        self.api.token(&self.id, &self.secret).await
    }

    fn token_command(&self) -> String {
        format!(
            "curl -X POST {}/auth/token \\\n    -H \"Content-Type: application/x-www-form-urlencoded\" \\\n    \
             -d \"grant_type=client_credentials\" \\\n    -d \"client_id={}\" \\\n    -d \"client_secret={}\"",
            self.base_url,
            self.id,
            self.secret.reveal(),
        )
    }

    /// What gives commands of integrators this client.
    fn export_command(&self) -> String {
        let (url, id, secret) = (&self.base_url, &self.id, self.secret.reveal());
        format!("$ export FUUFFY_BASE_URL={url} FUUFFY_CLIENT_ID={id} \\\n    FUUFFY_CLIENT_SECRET={secret}")
    }

    fn get_command(&self, path: &str, token: &AccessToken) -> String {
        format!("curl \"{}{path}\" \\\n    -H \"Authorization: Bearer {}\"", self.base_url, token.reveal())
    }

    fn post_command(&self, path: &str, token: &AccessToken, body: &str) -> String {
        format!("{} \\\n    -H \"Content-Type: application/json\" \\\n    -d '{body}'", self.get_command(path, token))
    }
}

fn expect(answer: &Answer, status: StatusCode) -> anyhow::Result<()> {
    ensure!(answer.status == status, "expected {status}, got {}", answer.status);
    Ok(())
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}
