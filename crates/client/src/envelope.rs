//! The guide's envelope: `data`, and `pagination` beside a list.

use serde::Deserialize;

/// The body of a success.
#[derive(Debug, Clone, Deserialize)]
pub struct Data<T> {
    /// What was asked for.
    pub data: T,
}

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items on this page.
    #[serde(rename = "data", default = "Vec::new")]
    pub items: Vec<T>,
    /// Where in the list they stand; `None` where the list is not paged.
    pub pagination: Option<Pagination>,
}

/// Where in a list a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Pagination {
    /// Items in all.
    pub total: u64,
    /// This page; the first is 1.
    pub page: u64,
    /// Items on a full page.
    pub per_page: u64,
    /// Pages in all.
    pub total_pages: u64,
}

impl Pagination {
    /// The page after this one.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        (self.page < self.total_pages).then(|| self.page + 1)
    }
}
