//! Who asks for more tokens than it needs: a token lasts, and a client that fetches one for each call costs as much as
//! hundreds that do not.

use std::cmp::Reverse;

use fuuffy_domain::Client;
use fuuffy_store::{BusyRow, Grouping, Part, PartOf, Step, UsageQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::deed::{DeedError, Environment, client_id};
use crate::usage;

/// Where tokens are asked for.
const ENDPOINTS: &[&str] = &["/v1/auth/token", "/oauth/token"];

/// Whose tokens.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenUseWanted {
    /// Of this client alone.
    #[param(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    client_id: Option<String>,
    /// From when on: how long ago, as in 90m, 24h or 7d, or a time (RFC 3339); 24h unless given. The hour that it is in
    /// counts whole, and before the last 35 days the day.
    #[param(
        pattern = r"^([0-9]{1,5}[mhd]|20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$"
    )]
    since: Option<String>,
    /// Until when; now unless given.
    #[param(
        pattern = r"^([0-9]{1,5}[mhd]|20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$"
    )]
    until: Option<String>,
    /// From 1.
    #[serde(default = "crate::api::first")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 9007199254740991_u64)]
    pub(crate) page: usize,
    /// Up to 100.
    #[serde(default = "crate::api::twenty")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100)]
    pub(crate) per_page: usize,
}

/// How many tokens a client asked for, and how many it needed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenUse)]
pub(crate) struct ShownTokenUse {
    /// Empty where it is gone.
    client_id: String,
    /// What people call it; empty where it is gone.
    name: String,
    /// Requests for a token, with a right secret.
    asked: u64,
    /// As many as one program needs that uses each token up: the hours in which the client was busy, by the life of its
    /// tokens.
    needed: u64,
    /// Requests that were refused because there had been too many.
    refused: u64,
}

/// Clients that asked for tokens, the one with the most that it did not need first.
pub(crate) async fn list(
    environment: &Environment,
    wanted: TokenUseWanted,
    part: PartOf,
) -> Result<Part<ShownTokenUse>, DeedError> {
    let now = environment.clock.now();
    let TokenUseWanted { client_id: of, since, until, .. } = wanted;
    let client = match &of {
        Some(id) => Some(environment.store.directory().find(&client_id(id)?).ok_or(DeedError::NotFound("client"))?),
        None => None,
    };
    let time = usage::time(since.as_deref(), until.as_deref(), now)?;
    let step = if now.since(time.start) <= Step::Hour.kept() { Step::Hour } else { Step::Day };
    let query = UsageQuery { client: client.map(|client| client.slot), by: Grouping::Client, time, step };
    let rows = environment.usage.busy(query, ENDPOINTS, now).await?;
    let directory = environment.store.directory();
    let mut shown: Vec<ShownTokenUse> = rows
        .into_iter()
        .filter(|row| row.requests > 0)
        .map(|row| ShownTokenUse::new(environment, step, row, directory.get(row.client).as_deref()))
        .collect();
    shown.sort_by_key(|row| Reverse((row.asked.saturating_sub(row.needed), row.asked)));
    let total = shown.len();
    Ok(Part { items: shown.into_iter().skip(part.skip).take(part.take).collect(), total })
}

impl ShownTokenUse {
    fn new(environment: &Environment, step: Step, row: BusyRow, client: Option<&Client>) -> Self {
        let BusyRow { steps, requests, limited, .. } = row;
        let longest = environment.longest_lifetime;
        let lifetime = client.and_then(|client| client.token_lifetime).map_or(longest, |own| own.min(longest));
        let needed = (steps * step.length().as_secs()).div_ceil(lifetime.seconds().into());
        let (client_id, name) =
            client.map_or_else(Default::default, |client| (client.id.to_string(), client.name.clone()));
        Self { client_id, name, asked: requests, needed, refused: limited }
    }
}
