//! `tongdao metrics`: every metric with its type, help, labels and live series, or the raw page.
//!
//! The list is the daemon's own, so it cannot differ from what Prometheus reads.

use super::Context;
use super::documents::{MetricDoc, PageDoc};
use super::exit::Exit;
use super::out;
use clap::Args;

/// Which form.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tongdao metrics\n  tongdao metrics --raw | grep undelivered")]
pub(crate) struct MetricsArgs {
    /// Print the values as Prometheus reads them
    #[arg(long)]
    raw: bool,
}

pub(crate) async fn run(context: &Context, args: &MetricsArgs) -> anyhow::Result<Exit> {
    if args.raw {
        context.out.text(&context.admin().text("/metrics").await?)?;
        return Ok(Exit::Fine);
    }
    let page = context.admin().load("/admin/v1/metrics").await?;
    let metrics: PageDoc<MetricDoc> = serde_json::from_value(page.clone())?;
    context.out.either(&page, || table(&metrics.data))?;
    Ok(Exit::Fine)
}

fn table(metrics: &[MetricDoc]) -> String {
    let total = metrics.iter().fold(0_u64, |sum, metric| sum.saturating_add(metric.series));
    let row = |metric: &MetricDoc| {
        let (labels, series) = (metric.labels.join(" "), metric.series.to_string());
        vec![metric.name.clone(), metric.kind.clone(), series, labels, metric.help.clone()]
    };
    let drawn = out::table(&["metric", "type", ">series", "labels", "help"], metrics.iter().map(row).collect());
    format!("{drawn}\n\n{} metrics, {total} series", metrics.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_are_counted_in_all() {
        let metric = |name: &str, series| MetricDoc {
            name: name.to_owned(),
            kind: "counter".to_owned(),
            help: "Counts.".to_owned(),
            labels: vec!["channel".to_owned()],
            series,
        };
        let drawn = table(&[metric("a_total", 3), metric("b_total", 4)]);
        assert!(drawn.ends_with("2 metrics, 7 series"), "{drawn}");
    }
}
