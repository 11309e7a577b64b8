<?php
// Lists orders and makes one, through the agent on this machine. There are no credentials here.

$api = (getenv('FUUFFY_AGENT') ?: 'http://127.0.0.1:7443') . '/v1';

function call(string $url, ?array $order = null): array
{
    $context = stream_context_create(['http' => [
        'method' => $order === null ? 'GET' : 'POST',
        'header' => 'Content-Type: application/json',
        'content' => $order === null ? '' : json_encode($order),
        'ignore_errors' => true,
        'timeout' => 60,
    ]]);
    $answer = file_get_contents($url, false, $context);
    if ($answer === false) {
        fwrite(STDERR, "the agent does not answer at $url\n");
        exit(1);
    }
    $body = json_decode($answer, true, 512, JSON_THROW_ON_ERROR);
    if (isset($body['error'])) {
        ['code' => $code, 'message' => $message, 'details' => $details] = $body['error'];
        fwrite(STDERR, "{$http_response_header[0]} $code: $message. $details\n");
        exit(1);
    }
    return $body;
}

$page = call("$api/orders?per_page=2");
echo count($page['data']), ' of ', $page['pagination']['total'], " orders\n";
$order = call("$api/orders", ['item' => 'Teapot', 'quantity' => 2]);
echo 'made ', $order['data']['id'], "\n";
