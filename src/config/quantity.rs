//! Durations and sizes as people write them: a whole number and its unit (`"15m"`, `"64KiB"`).
//!
//! Invariant: a number without a unit is refused, since seconds read as milliseconds have cost others money.

use std::time::Duration;

/// Reads a whole number and one of `ms s m h d`.
///
/// # Errors
/// Anything else, in words.
pub fn read_duration(text: &str) -> Result<Duration, &'static str> {
    const WANTED: &str = "expected a duration with its unit: \"500ms\", \"3s\", \"15m\", \"2h\" or \"1d\"";
    let (count, unit) = split(text).ok_or(WANTED)?;
    let ms_per_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(WANTED),
    };
    count.checked_mul(ms_per_unit).map(Duration::from_millis).ok_or("the duration is too long")
}

/// Reads a whole number and one of `B KiB MiB GiB`, as bytes.
///
/// # Errors
/// Anything else, in words.
pub fn read_size(text: &str) -> Result<u64, &'static str> {
    const WANTED: &str = "expected a size with its unit: \"512B\", \"64KiB\", \"8MiB\" or \"1GiB\"";
    let (count, unit) = split(text).ok_or(WANTED)?;
    let bytes_per_unit: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(WANTED),
    };
    count.checked_mul(bytes_per_unit).ok_or("the size is too large")
}

/// Writes a duration in the largest unit that keeps it whole.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let fits = units.iter().find(|(size, _)| ms > 0 && ms.is_multiple_of(*size));
    fits.map_or_else(|| format!("{ms}ms"), |(size, unit)| format!("{}{unit}", ms.div_euclid(*size)))
}

/// Writes a size in the largest unit that keeps it whole.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = units.iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size));
    fits.map_or_else(|| format!("{bytes}B"), |(size, unit)| format!("{}{unit}", bytes.div_euclid(*size)))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    digits.parse().ok().map(|count| (count, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_carry_their_unit() {
        for (text, ms) in [("500ms", 500), ("3s", 3000), ("15m", 900_000), ("2h", 7_200_000), ("1d", 86_400_000)] {
            assert_eq!(read_duration(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(ms)), text);
        }
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("8MiB", 8 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(read_size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
        for bad in ["", "3", "s", "-3s", "3 s", "1.5s", "3S", "99999999999999999999s", "18446744073709551615d"] {
            assert!(read_duration(bad).is_err(), "{bad}");
        }
        for bad in ["64", "64KB", "64kib", "-1B", "18446744073709551615GiB"] {
            assert!(read_size(bad).is_err(), "{bad}");
        }
    }
}
