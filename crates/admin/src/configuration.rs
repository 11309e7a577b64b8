//! Routes, plans and scopes, as the configuration that is in force has them. Read only: a configuration is
//! changed by its file.

use std::collections::BTreeMap;

use fuuffy_domain::{Plan, PlanName, Route};
use fuuffy_store::{Part, PartOf};
use serde::Serialize;
use utoipa::ToSchema;

use crate::deed::Environment;
use crate::roles;

/// What is configured.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// The routes, each with its upstreams.
    pub routes: Vec<(Route, Vec<String>)>,
    /// The plans.
    pub plans: BTreeMap<PlanName, Plan>,
}

/// A route, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Route)]
pub(crate) struct ShownRoute {
    prefix: String,
    /// For GET, HEAD and OPTIONS.
    read_scope: String,
    /// For all other methods.
    write_scope: String,
    upstreams: Vec<String>,
}

/// A plan, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct ShownPlan {
    name: String,
    /// As in `100/min`.
    limits: Vec<String>,
    /// Requests of a client under way at once, if they are limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    /// Windows that refuse nothing, and are counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observe: Vec<String>,
}

/// A scope that a route asks for, a client may have, or an operator can be given.
#[derive(Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ShownScope {
    scope: String,
    /// Prefixes of the routes that ask for it.
    routes: Vec<String>,
    /// How many clients may have it.
    clients: usize,
}

pub(crate) fn routes(environment: &Environment, part: PartOf) -> Part<ShownRoute> {
    let shown = (environment.configured)().routes.into_iter().map(|(route, upstreams)| ShownRoute {
        prefix: route.prefix,
        read_scope: route.read.to_string(),
        write_scope: route.write.to_string(),
        upstreams,
    });
    cut(shown.collect(), part)
}

pub(crate) fn plans(environment: &Environment, part: PartOf) -> Part<ShownPlan> {
    let shown = (environment.configured)().plans.into_iter().map(|(name, plan)| ShownPlan {
        name: name.to_string(),
        limits: plan.limits.into_iter().map(String::from).collect(),
        concurrency: plan.concurrency,
        observe: plan.observe.into_iter().map(String::from).collect(),
    });
    cut(shown.collect(), part)
}

/// The scopes that are in use, and those of operators.
pub(crate) fn scopes(environment: &Environment, part: PartOf) -> Part<ShownScope> {
    let mut found: BTreeMap<String, (Vec<String>, usize)> =
        roles::SCOPES.iter().map(|scope| ((*scope).to_owned(), Default::default())).collect();
    for (route, _) in (environment.configured)().routes {
        for scope in route.read.iter().chain(route.write.iter()) {
            let prefixes = &mut found.entry(scope.to_owned()).or_default().0;
            if prefixes.last() != Some(&route.prefix) {
                prefixes.push(route.prefix.clone());
            }
        }
    }
    for client in environment.store.directory().filter(|client| !client.scopes.is_empty()) {
        for scope in client.scopes.iter() {
            match found.get_mut(scope) {
                Some((_, clients)) => *clients += 1,
                None => drop(found.insert(scope.to_owned(), (Vec::new(), 1))),
            }
        }
    }
    let shown = found.into_iter().map(|(scope, (routes, clients))| ShownScope { scope, routes, clients });
    cut(shown.collect(), part)
}

/// A part of a list that is there as a whole.
pub(crate) fn cut<T>(whole: Vec<T>, part: PartOf) -> Part<T> {
    let total = whole.len();
    Part { items: whole.into_iter().skip(part.skip).take(part.take).collect(), total }
}
