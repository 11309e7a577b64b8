//! A method and a path where they can be read, and nothing where they cannot.

use super::*;

fn read(head: &[u8]) -> (String, String) {
    let RequestLine { method, path } = RequestLine::read(head);
    (method, path)
}

#[test]
fn method_and_path_are_read_as_far_as_they_can_be() {
    for (head, method, path) in [
        (&b"GET /v1/orders HTTP/1.1\r\nx y: z\r\n\r\n"[..], "GET", "/v1/orders"),
        (b"POST /v1/orders?secret=1 HTTP/1.1\r\n", "POST", "/v1/orders"),
        (b"GET http://user@host/v1/orders?a HTTP/1.1\r\n", "GET", "/v1/orders"),
        (b"GET http://host HTTP/1.1\r\n", "GET", ""),
        (b"GET /v1/x?to=http://host/secret HTTP/1.1\r\n", "GET", "/v1/x"),
        (b"OPTIONS * HTTP/1.1\r\n", "OPTIONS", ""),
        (b"CONNECT host:443 HTTP/1.1\r\n", "CONNECT", ""),
        (b"GET /v1/ord", "GET", "/v1/ord"),
        (b"GET", "GET", ""),
        (b"GET /v1/\x1b[31m HTTP/1.1\r\n", "GET", ""),
        (b"GET  /v1/orders HTTP/1.1\r\n", "GET", ""),
        (b"", "", ""),
        (b"\r\n\r\n", "", ""),
        (b" /v1/orders HTTP/1.1\r\n", "", ""),
        (b"\x16\x03\x01\x02\x00 /v1/orders\r\n", "", ""),
        (b"G\xc3\x89T /v1/orders HTTP/1.1\r\n", "", ""),
        (b"G:T /v1/orders HTTP/1.1\r\n", "", ""),
    ] {
        assert_eq!(read(head), (method.to_owned(), path.to_owned()), "{:?}", String::from_utf8_lossy(head));
    }
}

#[test]
fn the_answer_has_the_shape_that_the_path_speaks() {
    for (head, shape) in [
        (&b"POST /oauth/token HTTP/1.1\r\n"[..], BodyShape::Standard),
        (b"POST /v1/auth/token HTTP/1.1\r\n", BodyShape::Guide),
        (b"\x16\x03\x01", BodyShape::Guide),
    ] {
        assert_eq!(RequestLine::read(head).shape(), shape);
    }
}
