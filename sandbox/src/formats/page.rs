//! The HTML page a payer's browser sees at a provider's cashier: what is to be paid and one button.
//!
//! Invariant: every text from outside is escaped. Must not know: providers, orders, signatures.

/// A cashier page: the sum, the subject and a form that posts `fields` to `action`.
pub(crate) struct Cashier<'a> {
    pub(crate) title: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) amount: &'a str,
    pub(crate) action: &'a str,
    pub(crate) fields: &'a [(&'a str, &'a str)],
}

impl Cashier<'_> {
    /// The page as HTML (UTF-8).
    pub(crate) fn html(&self) -> String {
        let hidden: String = self
            .fields
            .iter()
            .map(|(name, value)| {
                format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
            })
            .collect();
        let body = format!(
            "<p>{}</p><p><strong>¥ {}</strong></p><form method=\"post\" action=\"{}\">{hidden}<button>付款 Pay</button></form>",
            escape(self.subject),
            escape(self.amount),
            escape(self.action),
        );
        shell(self.title, &body)
    }
}

/// A page that says one sentence.
pub(crate) fn message(title: &str, text: &str) -> String {
    shell(title, &format!("<p>{}</p>", escape(text)))
}

fn shell(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"zh\"><head><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>"
    )
}

/// Escapes text for HTML content and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_leave_its_place() {
        let html = Cashier {
            title: "t",
            subject: "<script>alert('x')</script>",
            amount: "1.00",
            action: "/pay",
            fields: &[("code", "\"><b>")],
        }
        .html();
        assert!(!html.contains("<script>"));
        assert!(!html.contains("\"><b>"));
        assert!(html.contains("&quot;&gt;&lt;b&gt;"));
    }
}
