//! Which RSA keys are taken. Those here are test keys that nothing else knows.

use base64::engine::general_purpose::STANDARD;

use super::*;

fn read(der: &[u8]) -> Result<PrivateKey, Error> {
    let kind = "RSA PRIVATE KEY";
    PrivateKey::from_pem(format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der)).as_bytes())
}

#[test]
fn an_rsa_key_has_one_of_three_lengths_and_the_usual_exponent() {
    let taken = read(include_bytes!("rsa_2048.der")).unwrap();
    assert!(taken.public_jwk().contains(r#""e":"AQAB""#), "{}", taken.public_jwk());
    for der in [&include_bytes!("rsa_2560.der")[..], include_bytes!("rsa_exponent_3.der")] {
        let refused = read(der).err().unwrap().to_string();
        assert!(refused.contains("2048, 3072 or 4096 bits with the exponent 65537"), "{refused}");
    }
}
