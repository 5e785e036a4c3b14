//! A QR code as an SVG element.
//!
//! Invariant: black on white with the quiet zone of four modules that scanners need, whatever surrounds it.

use fast_qr::{ECL, QRBuilder};

const QUIET: usize = 4;

/// The drawing; `None` when the text is too long for a code.
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let mut path = String::new();
    for (y, row) in code.data.chunks(code.size).take(code.size).enumerate() {
        for (x, module) in row.iter().enumerate().filter(|(_, module)| module.value()) {
            debug_assert!(module.value());
            path.push_str(&format!("M{} {}h1v1h-1z", x.saturating_add(QUIET), y.saturating_add(QUIET)));
        }
    }
    let side = code.size.saturating_add(QUIET.saturating_mul(2));
    Some(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"付款二维码\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_with_its_quiet_zone() {
        let svg = svg("weixin://wxpay/bizpayurl?pr=x").unwrap();
        assert!(svg.contains("viewBox=\"0 0 37 37\""), "version 3 is 29 modules: {svg:.120}");
        // The finder pattern's corner lies right behind the quiet zone.
        assert!(svg.contains("d=\"M4 4h1v1h-1z"));
    }

    #[test]
    fn too_long_a_text_has_no_code() {
        assert!(super::svg(&"x".repeat(5000)).is_none());
    }
}
