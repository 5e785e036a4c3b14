//! A code drawn with half blocks, so that it can be scanned from a terminal.
//!
//! Beside the terminal's colours nothing is assumed; the quiet zone is drawn with it. A code that is too long for a
//! QR code is not drawn, and its text stands there anyway.

use fast_qr::QRBuilder;

/// The picture, or nothing when the text does not fit.
pub(crate) fn draw(text: &str) -> Option<String> {
    QRBuilder::new(text).build().ok().map(|code| code.to_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_url_is_drawn_and_a_novel_is_not() {
        let picture = draw("weixin://wxpay/bizpayurl?pr=abc").unwrap();
        assert!(picture.lines().count() > 10 && picture.contains('█'), "{picture}");
        assert_eq!(draw(&"x".repeat(8000)), None);
    }
}
