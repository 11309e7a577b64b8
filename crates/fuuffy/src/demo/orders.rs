//! A sample API: orders that can be listed, shown and made, in the guide's envelope. Part of the demo
//! alone; it keeps what is made in memory and trusts whoever reaches it, as an upstream may.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Orders that there are from the start.
const FIRST: u64 = 140;

/// The sample API, being served.
pub(super) struct Orders {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

#[derive(Clone, Serialize)]
struct Order {
    id: String,
    item: String,
    quantity: u64,
    status: &'static str,
}

/// What a caller says of a new order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    item: String,
    quantity: u64,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default = "one")]
    page: usize,
    #[serde(default = "twenty")]
    per_page: usize,
}

const fn one() -> usize {
    1
}

const fn twenty() -> usize {
    20
}

type Book = Arc<Mutex<Vec<Order>>>;

/// Serves the sample API.
pub(super) async fn listen(address: SocketAddr) -> anyhow::Result<Orders> {
    let listener = TcpListener::bind(address).await.context("the sample API cannot listen")?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let server = axum::serve(listener, router()).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    Ok(Orders { address, stop, serving: tokio::spawn(server.into_future()) })
}

impl Orders {
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.serving.await;
    }
}

fn router() -> Router {
    let items = ["Teapot", "Kettle", "Cup", "Saucer", "Spoon"];
    let order = |number: u64| Order {
        id: format!("ord_{number}"),
        item: items[usize::try_from(number).unwrap_or(0) % items.len()].to_owned(),
        quantity: number % 7 + 1,
        status: if number.is_multiple_of(3) { "shipped" } else { "open" },
    };
    let book: Book = Arc::new(Mutex::new((1..=FIRST).map(order).collect()));
    Router::new()
        .route("/v1/orders", get(list).post(create))
        .route("/v1/orders/{id}", get(show))
        .fallback(async || refused(StatusCode::NOT_FOUND, "not_found", "There is no such path"))
        .with_state(book)
}

async fn list(State(book): State<Book>, Query(Page { page, per_page }): Query<Page>) -> Response {
    if page == 0 || !(1..=100).contains(&per_page) {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "page starts at 1 and per_page is 1 to 100");
    }
    let book = book.lock();
    let skipped = (page - 1).saturating_mul(per_page);
    let orders: Vec<&Order> = book.iter().skip(skipped).take(per_page).collect();
    let total = book.len();
    let pagination =
        json!({"total": total, "page": page, "per_page": per_page, "total_pages": total.div_ceil(per_page)});
    answer(StatusCode::OK, &json!({"data": orders, "pagination": pagination}))
}

async fn show(State(book): State<Book>, Path(id): Path<String>) -> Response {
    match book.lock().iter().find(|order| order.id == id) {
        Some(order) => answer(StatusCode::OK, &json!({"data": order})),
        None => refused(StatusCode::NOT_FOUND, "not_found", "There is no such order"),
    }
}

async fn create(State(book): State<Book>, body: Bytes) -> Response {
    let Ok(new) = serde_json::from_slice::<NewOrder>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "An order has an item and a quantity");
    };
    let mut book = book.lock();
    let order = Order { id: format!("ord_{}", book.len() + 1), item: new.item, quantity: new.quantity, status: "open" };
    book.push(order.clone());
    answer(StatusCode::CREATED, &json!({"data": order}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let details = "See what this sample API takes in the README";
    answer(status, &json!({"error": {"code": code, "message": message, "details": details}}))
}
