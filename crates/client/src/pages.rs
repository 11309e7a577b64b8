//! A list as a stream: of pages, or of the items on them.

use futures_core::Stream;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;

use crate::envelope::Page;
use crate::{Error, RequestBuilder};

/// Which page comes next.
enum Next {
    AsAsked,
    Page(u64),
    None,
}

/// All pages from the one that was asked for on. Ends after the first that cannot be had, or that is not
/// the one it should be: a server that repeats itself makes no endless list.
pub(crate) fn pages<T: DeserializeOwned>(request: RequestBuilder) -> impl Stream<Item = Result<Page<T>, Error>> {
    stream::unfold((request, Next::AsAsked), |(request, next)| async move {
        let asked = match next {
            Next::AsAsked => None,
            Next::Page(page) => Some(page),
            Next::None => return None,
        };
        let page = match request.for_page(asked) {
            Ok(request) => request.page::<T>().await,
            Err(error) => Err(error),
        };
        let after = page.as_ref().ok().and_then(|page| page.pagination).and_then(|pagination| {
            let is_the_one = asked.is_none_or(|asked| pagination.page == asked);
            pagination.next().filter(|_| is_the_one)
        });
        Some((page, (request, after.map_or(Next::None, Next::Page))))
    })
}

/// All items of all pages.
pub(crate) fn items<T: DeserializeOwned>(request: RequestBuilder) -> impl Stream<Item = Result<T, Error>> {
    pages(request).map_ok(|page| stream::iter(page.items).map(Ok)).try_flatten()
}
