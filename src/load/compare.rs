//! How a figure changed against an earlier run.
//!
//! Invariant: it judges nothing: whether more is better depends on the figure, and the reader knows it.

use super::figures::number;

/// The earlier value and the change in percent.
pub(crate) fn change(old: f64, new: f64) -> String {
    if old == 0.0 {
        return number(old);
    }
    format!("{} ({:+.1} %)", number(old), (new / old - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_in_percent_of_the_earlier_value() {
        assert_eq!(change(200.0, 250.0), "200 (+25.0 %)");
        assert_eq!(change(0.0, 3.0), "0.00");
    }
}
