//! The audit log, for reading, and its checkpoints.

use fuuffy_domain::ClientId;
use fuuffy_store::{AuditQuery, AuditRow, Part, PartOf};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::deed::{DeedError, Environment};

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// About this client alone.
    #[param(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    client_id: Option<String>,
    /// Kinds of deeds, with commas between them.
    deed: Option<String>,
    /// From 1.
    #[serde(default = "crate::api::first")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 9007199254740991_u64)]
    pub(crate) page: usize,
    /// Up to 100.
    #[serde(default = "crate::api::twenty")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100)]
    pub(crate) per_page: usize,
}

/// A record with its link of the chain.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(crate) struct Shown {
    /// The text that is hashed.
    #[schema(value_type = Object)]
    record: Box<RawValue>,
    /// SHA-256, in hexadecimal.
    hash: String,
}

impl Shown {
    fn new(row: AuditRow) -> Result<Self, DeedError> {
        let hash = row.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let record = RawValue::from_string(row.record).map_err(|_| DeedError::NotFound("record"))?;
        Ok(Self { record, hash })
    }
}

/// A checkpoint, as it is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoint, value_type = Object)]
#[serde(transparent)]
pub(crate) struct Signed(Box<RawValue>);

/// Signs the log as it stands.
pub(crate) async fn sign(environment: &Environment) -> Result<Signed, DeedError> {
    let checkpoint = environment.store.checkpoint(environment.clock.now()).await?;
    RawValue::from_string(checkpoint.to_line()).map(Signed).map_err(|_| DeedError::NotFound("checkpoint"))
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
