//! The audit log, for reading, and its checkpoints.

use fuuffy_domain::ClientId;
use fuuffy_store::{AuditQuery, AuditRow, Part, PartOf};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::deed::{DeedError, Environment};

/// Which records.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    client_id: Option<String>,
    /// Kinds of deeds, with commas between them.
    deed: Option<String>,
    #[serde(default = "crate::api::first")]
    pub(crate) page: usize,
    #[serde(default = "crate::api::twenty")]
    pub(crate) per_page: usize,
}

/// A record with its link of the chain.
#[derive(Serialize)]
pub(crate) struct Shown {
    record: Box<RawValue>,
    hash: String,
}

impl Shown {
    fn new(row: AuditRow) -> Result<Self, DeedError> {
        let hash = row.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let record = RawValue::from_string(row.record).map_err(|_| DeedError::NotFound("record"))?;
        Ok(Self { record, hash })
    }
}

/// Signs the log as it stands.
pub(crate) async fn sign(environment: &Environment) -> Result<Box<RawValue>, DeedError> {
    let checkpoint = environment.store.checkpoint(environment.clock.now()).await?;
    RawValue::from_string(checkpoint.to_line()).map_err(|_| DeedError::NotFound("checkpoint"))
}

/// A part of the records, newest first.
pub(crate) async fn list(environment: &Environment, wanted: &Wanted, part: PartOf) -> Result<Part<Shown>, DeedError> {
    let client = wanted.client_id.as_deref().map(ClientId::parse).transpose();
    let client = client.map_err(|_| DeedError::Invalid("client_id: expected the id of a client".to_owned()))?;
    let deeds = wanted.deed.iter().flat_map(|deeds| deeds.split(',')).map(str::to_owned).collect();
    let query = AuditQuery { client, deeds, newest_first: true, part };
    let Part { items, total } = environment.store.audit(query).await?;
    Ok(Part { items: items.into_iter().map(Shown::new).collect::<Result<_, _>>()?, total })
}
