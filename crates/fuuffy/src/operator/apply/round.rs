//! The steps of one file, each by the deeds of the operators' API.

use std::io::Write;

use anyhow::bail;
use fuuffy_domain::EnvironmentName;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::difference::{Step, differing, members};
use super::handing_out::{Begun, HandingOut};
use super::proofs::{self, LISTS};
use super::secrets::{Handed, Secrets};
use super::{of_client, registered};
use crate::config::{Proofs, Registered, Standing};
use crate::operator::desk::{Desk, refusal};
use crate::operator::segment;
use crate::operator::transport::On;

/// The steps of one file on their way.
pub(super) struct Round<'a> {
    pub(super) desk: &'a Desk,
    pub(super) environment: EnvironmentName,
    pub(super) why: Option<&'a str>,
    pub(super) secrets: Secrets,
    pub(super) handing_out: HandingOut,
}

impl Round<'_> {
    /// As it was seen, and for the reason that was given.
    fn on<'a>(&'a self, seen: Option<&'a str>) -> On<'a> {
        On { why: self.why, seen, once: None }
    }

    /// What a run that broke off has made and not handed out, as far as the server still knows the answer.
    pub(super) async fn hand_out_what_was_begun(
        &mut self,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> anyhow::Result<()> {
        for Begun { client_id, key, body } in self.handing_out.begun().to_vec() {
            let path = format!("/admin/v1/{}/clients/{}", self.environment, segment(&client_id));
            let is_there = match self.desk.call(Method::GET, &path, None, On::default()).await {
                Ok(_) => true,
                Err(error) if refusal(&error) == Some(StatusCode::NOT_FOUND) => false,
                Err(error) => return Err(error),
            };
            // One that was not made is made by its step, if it is still in the file.
            if !is_there {
                self.handing_out.end(&client_id)?;
                continue;
            }
            match self.create(&body, &key).await {
                Ok(created) => {
                    if created.get("client_secret").is_some() {
                        writeln!(err, "{client_id} was made by a run that broke off; its secret is handed out now")?;
                    }
                    self.hand_out(&client_id, &created, out)?;
                }
                Err(error) if refusal(&error) == Some(StatusCode::CONFLICT) => {
                    let environment = self.environment;
                    writeln!(
                        err,
                        "{client_id} was made by a run that broke off, too long ago for its secret to be handed out; give it another: fuuffy secrets add --environment {environment} --client {client_id}"
                    )?;
                    self.handing_out.end(&client_id)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn create(&self, body: &Value, key: &str) -> anyhow::Result<Value> {
        let (all, on) = (format!("/admin/v1/{}/clients", self.environment), On { once: Some(key), ..self.on(None) });
        let mut created = self.desk.call(Method::POST, &all, Some(body), on).await?;
        Ok(created.body["data"].take())
    }

    fn hand_out(&mut self, client_id: &str, created: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
        // Whoever proves itself by something else has no secret.
        if created.get("client_secret").is_none() {
            return self.handing_out.end(client_id);
        }
        match self.secrets.hand_out(created, out)? {
            Handed::Out => self.handing_out.end(client_id),
            Handed::ToReport => Ok(()),
        }
    }

    pub(super) async fn take(&mut self, step: &Step, out: &mut dyn Write) -> anyhow::Result<()> {
        let path = of_client(self.environment, &step.client().client_id);
        match step {
            Step::Create(client) => {
                let mut body = members(client);
                body.remove("status");
                body.insert("client_id".to_owned(), json!(client.client_id));
                proofs::first_of(&mut body, &client.proofs);
                let (client_id, body) = (client.client_id.as_str(), body.into());
                let key = self.handing_out.begin(client_id, &body)?;
                let created = match self.create(&body, &key).await {
                    Ok(created) => created,
                    Err(error) => {
                        // Refused, it was not made. After anything else nobody knows.
                        if refusal(&error).is_some_and(|status| status.is_client_error()) {
                            self.handing_out.end(client_id)?;
                        }
                        return Err(error);
                    }
                };
                self.hand_out(client_id, &created, out)?;
                if client.proofs != Proofs::default() {
                    let made = self.listed(&path).await?;
                    self.make_proofs(&path, (&made, client), None).await?;
                }
                if client.status == Standing::Suspended {
                    self.desk.call(Method::POST, &format!("{path}/suspend"), None, self.on(None)).await?;
                }
            }
            Step::Change { from, to } => {
                let mut seen = self.seen(&path, from).await?;
                let (_, mut patch) = differing(from, to);
                let status = patch.remove("status");
                LISTS.iter().for_each(|name| drop(patch.remove(*name)));
                if !patch.is_empty() {
                    let (body, on) = (patch.into(), self.on(seen.as_deref()));
                    seen = self.desk.call(Method::PATCH, &path, Some(&body), on).await?.etag;
                }
                seen = self.make_proofs(&path, (from, to), seen).await?;
                if status.is_some() {
                    let deed = if to.status == Standing::Active { "resume" } else { "suspend" };
                    let path = format!("{path}/{deed}");
                    self.desk.call(Method::POST, &path, None, self.on(seen.as_deref())).await?;
                }
            }
            Step::Delete(client) => {
                let seen = self.seen(&path, client).await?;
                self.desk.call(Method::DELETE, &path, None, self.on(seen.as_deref())).await?;
            }
        }
        Ok(())
    }

    /// Adds and removes keys, identities and certificates until they are as they should be. The state that was seen last.
    async fn make_proofs(
        &self,
        path: &str,
        (from, to): (&Registered, &Registered),
        mut seen: Option<String>,
    ) -> anyhow::Result<Option<String>> {
        for deed in proofs::deeds(self.desk, path, (&from.proofs, &to.proofs)).await? {
            let on = self.on(seen.as_deref());
            seen = self.desk.call(deed.method, &deed.path, deed.body.as_ref(), on).await?.etag;
        }
        Ok(seen)
    }

    /// A client as it is now.
    async fn listed(&self, path: &str) -> anyhow::Result<Registered> {
        let answer = self.desk.call(Method::GET, path, None, On::default()).await?;
        registered(self.desk, self.environment, answer.body["data"].clone()).await
    }

    /// The state in which a client is still as it was listed.
    async fn seen(&self, path: &str, listed: &Registered) -> anyhow::Result<Option<String>> {
        let answer = self.desk.call(Method::GET, path, None, On::default()).await?;
        if registered(self.desk, self.environment, answer.body["data"].clone()).await? != *listed {
            bail!("it was changed meanwhile; run the command once more");
        }
        Ok(answer.etag)
    }
}
