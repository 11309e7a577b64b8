//! Names as operators write them, and that no certificate's name can be taken for another.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> String {
    DistinguishedName::parse(text).unwrap().to_string()
}

#[test]
fn a_name_has_one_form() {
    let plain = "CN=orders,OU=Shop,O=Acme,C=DE";
    for text in [
        plain,
        "cn=orders, ou=Shop, o=Acme, c=DE",
        " 2.5.4.3 = orders ,OU=Shop,2.5.4.10=Acme,C=DE ",
        r"CN=\6frders,OU=Shop,O=Acme,C=DE",
    ] {
        assert_eq!(read(text), plain, "{text}");
    }
    assert_eq!(read("UID=7+CN=orders"), read("CN=orders+UID=7"), "attributes of one part have no order");
    assert_ne!(read("CN=orders,O=Acme"), read("O=Acme,CN=orders"), "parts have");
    assert_eq!(read(r"CN=a\, O=b\+c"), r"CN=a\, O=b\+c");
    assert_eq!(read(r"CN=\ a b\ "), r"CN=\ a b\ ");
    assert_eq!(read(r"CN=\#1=2"), r"CN=\#1=2");
    assert_eq!(read("2.5.4.97=PSDDE-BAFIN-123456,CN=Café"), "2.5.4.97=PSDDE-BAFIN-123456,CN=Café");
}

#[test]
fn what_is_no_name_is_refused() {
    for text in [
        "",
        "orders",
        "CN",
        "CN=",
        "=orders",
        "CN=a,",
        "CN=a,,O=b",
        "CN=a+",
        "XX=a",
        "2=a",
        "2..5=a",
        "2.05=a",
        "CN=#0c0161",
        "CN=a;O=b",
        "CN=\"a\"",
        "CN=a<b",
        r"CN=a\",
        r"CN=a\x",
        r"CN=a\f",
        r"CN=\ff",
        "/CN=a/O=b",
    ] {
        assert_eq!(DistinguishedName::parse(text), Err(DistinguishedNameFault), "{text}");
    }
    let long = format!("CN={}", "a".repeat(1022));
    assert_eq!(DistinguishedName::parse(&long), Err(DistinguishedNameFault));
    assert!(DistinguishedName::parse(&long[..1024]).is_ok());
    assert_eq!(DistinguishedName::of_parts(Vec::new()), None, "no name is nobody's");
    assert_eq!(DistinguishedName::of_parts(vec![Vec::new()]), None);
}

fn attribute() -> impl Strategy<Value = Attribute> {
    ("2\\.5\\.4\\.(3|10|11|97)", "[ -~é\\x00]{1,12}")
}

proptest! {
    #[test]
    fn foreign_text_never_panics(text in "\\PC{0,60}") {
        let _ = DistinguishedName::parse(&text);
    }

    /// What is written is read as the same again, and differs where the names do.
    #[test]
    fn names_are_as_different_as_their_texts(
        one in prop::collection::vec(prop::collection::vec(attribute(), 1..3), 1..4),
        other in prop::collection::vec(prop::collection::vec(attribute(), 1..3), 1..4),
    ) {
        let sorted = |mut parts: Vec<Vec<Attribute>>| { parts.iter_mut().for_each(|part| part.sort()); parts };
        let (first, second) = (DistinguishedName::of_parts(one.clone()).unwrap(), DistinguishedName::of_parts(other.clone()).unwrap());
        prop_assert_eq!(DistinguishedName::parse(first.as_str()), Ok(first.clone()));
        prop_assert_eq!(first == second, sorted(one) == sorted(other));
    }
}
