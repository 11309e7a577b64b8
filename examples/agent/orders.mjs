// Lists orders and makes one, through the agent on this machine. There are no credentials here.

const api = `${process.env.FUUFFY_AGENT ?? "http://127.0.0.1:7443"}/v1`;

async function call(path, order) {
    const answer = await fetch(api + path, {
        method: order ? "POST" : "GET",
        headers: { "Content-Type": "application/json" },
        body: order && JSON.stringify(order),
    });
    const body = await answer.json();
    if (!answer.ok) {
        const { code, message, details } = body.error;
        throw new Error(`${answer.status} ${code}: ${message}. ${details}`);
    }
    return body;
}

try {
    const page = await call("/orders?per_page=2");
    console.log(page.data.length, "of", page.pagination.total, "orders");
    const order = await call("/orders", { item: "Teapot", quantity: 2 });
    console.log("made", order.data.id);
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
}
