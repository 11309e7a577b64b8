//! `fuuffy request`: curl for the API, with the token, the retries and the limits taken care of.

use std::io::{BufRead as _, IsTerminal as _, Write};

use anyhow::{Context as _, bail};
use futures_util::TryStreamExt as _;
use fuuffy_client::{Client, Environment, Error, Refused, RequestBuilder, Response};
use http::{Method, header};
use http_body_util::BodyExt as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::terminal::Terminal;
use super::{Common, progress, tell, upload};

/// Bodies that are longer than this get a bar, in bytes.
const LONG: u64 = 1024 * 1024;
/// Fields that say where a request begins, ends and goes, which is not for a person to say.
const FRAMING: [header::HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];

/// `fuuffy request`
#[derive(Debug, clap::Args)]
pub struct RequestArgs {
    #[command(flatten)]
    common: Common,
    /// GET, POST, …
    #[arg(value_parser = method)]
    method: Method,
    /// A path below the base URL, as in /orders.
    path: String,
    /// The body: itself, @FILE, or @- for standard input. JSON, unless a header says otherwise.
    #[arg(long, short, value_name = "DATA")]
    data: Option<String>,
    /// Adds to the query, escaped.
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = parameter)]
    query: Vec<(String, String)>,
    /// Adds a header field.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Fetches all pages of a list by GET, and prints them as one.
    #[arg(long, conflicts_with_all = ["data", "include"])]
    page_all: bool,
    /// Tells status and header fields on standard error.
    #[arg(long, short)]
    include: bool,
    /// Slows down as a limit comes near, instead of being refused.
    #[arg(long)]
    paced: bool,
    /// Writes in production without asking.
    #[arg(long, short)]
    yes: bool,
}

/// Sends one request, and prints the body of its answer. 0 for a success, 1 for a refusal.
///
/// # Errors
/// There is no answer, or writing failed.
pub async fn request(args: RequestArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let fields = fields(&args)?;
    let mut out = Terminal::on(out, std::io::stdout().is_terminal());
    let out: &mut dyn Write = &mut out;
    let settings = args.common.settings()?;
    let environment = settings.environment;
    let client = settings.builder(settings.cache()?)?.observer(tell::on_standard_error).paced(args.paced).build()?;
    if environment == Environment::Production && writes(&args.method) && !args.yes && !confirm(&args, &client, err)? {
        writeln!(err, "Nothing was sent.")?;
        return Ok(1);
    }
    let mut request = client.request(args.method.clone(), &args.path);
    for (name, value) in &args.query {
        request = request.query(name, value);
    }
    for (name, value) in &fields {
        request = request.header(name, value);
    }
    if let Some(data) = &args.data {
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/json");
        }
        request = request.body(upload::body(data).await?);
    }
    if args.page_all {
        return page_all(request, out, err).await;
    }
    let response = request.send_any().await?;
    let outcome = Outcome::of(&response, &args, &client);
    if args.include {
        // Another program may read what else is said there, but no other than a person reads this.
        outcome.tell_head(&response, &mut Terminal::on(err, true))?;
    }
    if args.common.json {
        let shown = outcome.read(response).await?;
        writeln!(out, "{shown}")?;
        if !outcome.is_success {
            let said = Refused::parse(shown["body"].to_string().as_bytes()).unwrap_or_default();
            outcome.tell_hints(&said.code, err)?;
        }
    } else if response.status().is_success() {
        copy(response, out).await?;
    } else {
        outcome.refuse(response, out, err).await?;
    }
    Ok(outcome.exit_status())
}

/// What an answer is to the person who asked.
struct Outcome {
    what: String,
    is_success: bool,
    status: http::StatusCode,
    request_id: Option<String>,
    hint: Option<String>,
    /// The code by the field that tells it, for an answer to HEAD has no body.
    code: String,
}

impl Outcome {
    fn of(response: &Response, args: &RequestArgs, client: &Client) -> Self {
        let (status, base_path) = (response.status(), client.base_url().path());
        // The guide writes whole paths, and a base URL has the beginning of each.
        let is_doubled =
            !base_path.is_empty() && args.path.starts_with(base_path) && status == http::StatusCode::NOT_FOUND;
        let hint = is_doubled
            .then(|| format!("paths are below {}: try {}", client.base_url(), args.path.replacen(base_path, "", 1)));
        let what = format!("{} {}", args.method, args.path);
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let code = challenges.filter_map(|field| tell::code_of_challenge(field.to_str().ok()?)).next();
        let (is_success, request_id) = (status.is_success(), response.request_id());
        Self { what, is_success, status, request_id, hint, code: code.unwrap_or_default().to_owned() }
    }

    fn exit_status(&self) -> u8 {
        u8::from(!self.is_success)
    }

    fn tell_head(&self, response: &Response, err: &mut dyn Write) -> anyhow::Result<()> {
        writeln!(err, "{}", self.status)?;
        for (name, value) in response.headers() {
            writeln!(err, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        writeln!(err)?;
        Ok(err.flush()?)
    }

    /// The whole answer as one value.
    async fn read(&self, response: Response) -> anyhow::Result<Value> {
        let mut headers = serde_json::Map::new();
        for (name, value) in response.headers() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match headers.get_mut(name.as_str()) {
                Some(Value::String(before)) => *before = format!("{before}, {value}"),
                _ => drop(headers.insert(name.to_string(), Value::String(value))),
            }
        }
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        Ok(json!({"status": self.status.as_u16(), "request_id": self.request_id, "headers": headers, "body": body}))
    }

    /// A refusal's body is printed like any other, and its words are told.
    async fn refuse(&self, response: Response, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
        let bytes = response.bytes().await?;
        out.write_all(&bytes)?;
        end_line(bytes.last().copied(), out)?;
        let Refused { code, message, details } = Refused::parse(&bytes).unwrap_or_default();
        let words: Vec<&str> = [message.as_str(), details.as_str()].into_iter().filter(|it| !it.is_empty()).collect();
        let said = if words.is_empty() { String::new() } else { format!(": {}", words.join(". ")) };
        let id = self.request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default();
        writeln!(err, "fuuffy: {} was answered with {}{said}{id}", self.what, self.status)?;
        self.tell_hints(&code, err)
    }

    /// What to do next. `code` is the body's, if it has one.
    fn tell_hints(&self, code: &str, err: &mut dyn Write) -> anyhow::Result<()> {
        let code = if code.is_empty() { &self.code } else { code };
        let way = tell::way_to_reason(code, self.request_id.as_deref());
        for hint in [&self.hint, &way].into_iter().flatten() {
            writeln!(err, "fuuffy: {hint}")?;
        }
        Ok(())
    }
}

/// Prints a body as it comes.
async fn copy(response: Response, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut body = response.into_http().into_body();
    let length = http_body::Body::size_hint(&body).exact();
    let is_long = length.is_none_or(|length| length > LONG);
    let bar = (is_long && !std::io::stdout().is_terminal()).then(|| progress::bar("received", length));
    let mut last = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| anyhow::Error::from_boxed(error).context("the answer broke off"))?;
        let data = frame.into_data().unwrap_or_default();
        out.write_all(&data)?;
        last = data.last().copied().or(last);
        if let Some(bar) = &bar {
            bar.inc(data.len() as u64);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    end_line(last, out)
}

/// A terminal's next line begins at its beginning.
fn end_line(last: Option<u8>, out: &mut dyn Write) -> anyhow::Result<()> {
    if last.is_some_and(|last| last != b'\n') && std::io::stdout().is_terminal() {
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

/// All pages of a list as one, written as they come; each item as it was answered.
async fn page_all(request: RequestBuilder, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let mut pages = std::pin::pin!(request.pages::<Box<RawValue>>());
    let (mut start, mut joint, mut before) = (r#"{"data":["#, "", None);
    let is_watched = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    while let Some(page) = pages.try_next().await? {
        let number = page.pagination.map(|pagination| pagination.page);
        // The stream of pages ends with such a one.
        if let (Some(before), Some(number)) = (before, number)
            && number != before + 1
        {
            bail!("page {} was asked for and page {number} came, so the list is not whole", before + 1);
        }
        before = number;
        out.write_all(start.as_bytes())?;
        start = "";
        for item in &page.items {
            write!(out, "{joint}{}", item.get())?;
            joint = ",";
        }
        if let Some(pagination) = page.pagination.filter(|_| is_watched) {
            write!(err, "\rpage {} of {} ", pagination.page, pagination.total_pages)?;
        }
    }
    if is_watched {
        writeln!(err)?;
    }
    writeln!(out, "]}}")?;
    Ok(0)
}

/// Whether a method changes anything (RFC 9110 §9.2.1).
fn writes(method: &Method) -> bool {
    !method.is_safe()
}

/// Asks before something is written in production. Where nobody can answer, nothing is sent.
fn confirm(args: &RequestArgs, client: &Client, err: &mut dyn Write) -> anyhow::Result<bool> {
    let reads_input = args.data.as_deref() == Some("@-");
    if reads_input || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let why = format!(
            "{} {} would write in production, and nobody can be asked; add --yes if you mean it",
            args.method, args.path
        );
        return Err(Error::configuration(why).into());
    }
    write!(err, "{} {} writes in production, at {}. Go on? [y/N] ", args.method, args.path, client.base_url())?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("the answer cannot be read")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Methods have no small letters, and people do.
fn method(text: &str) -> anyhow::Result<Method> {
    match text.to_ascii_uppercase().parse()? {
        Method::CONNECT => bail!("CONNECT opens a tunnel, and is no call to the API"),
        method => Ok(method),
    }
}

/// The header fields that were asked for. What is wrong is told without their values, for some are secret.
fn fields(args: &RequestArgs) -> Result<Vec<(&str, &str)>, Error> {
    if args.page_all && args.method != Method::GET {
        let why = format!("--page-all fetches lists by GET; leave it out to send {} once", args.method);
        return Err(Error::configuration(why));
    }
    let mut fields = Vec::with_capacity(args.header.len());
    for text in &args.header {
        let Some((name, value)) = text.split_once(':').map(|(name, value)| (name.trim(), value.trim())) else {
            return Err(Error::configuration("--header takes a field as in \"Accept: text/csv\""));
        };
        if name.eq_ignore_ascii_case(header::AUTHORIZATION.as_str()) {
            return Err(Error::configuration(
                "leave the field Authorization out: the token is added for you, and others on this machine can read \
                 what is on a command line",
            ));
        }
        if FRAMING.iter().any(|own| name.eq_ignore_ascii_case(own.as_str())) {
            return Err(Error::configuration(format!(
                "leave the field {name} out: it follows from the request itself"
            )));
        }
        fields.push((name, value));
    }
    Ok(fields)
}

/// Reads `NAME=VALUE`.
fn parameter(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => bail!("expected NAME=VALUE"),
    }
}
