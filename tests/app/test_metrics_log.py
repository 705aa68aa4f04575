"""metrics.csv has one row an epoch and survives a restart."""

from pathlib import Path

from prnn_md.app.metrics_log import MetricsLog, csv_only, read_metrics


def test_metrics_of_an_epoch_share_a_row(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.log_metrics({"valid/error": 0.5, "epoch": -1}, step=0)
    log.log_metrics({"valid/error": 0.4, "epoch": 0}, step=3)
    log.log_metrics({"train/error": 0.3, "epoch": 0}, step=3)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,train/error,valid/error\n-1,,0.5\n0,0.3,0.4\n"


def test_a_restart_keeps_rows_and_replaces_those_it_repeats(tmp_path: Path) -> None:
    first = MetricsLog(tmp_path)
    for epoch, error in enumerate([0.5, 0.4, 0.3]):
        first.log_metrics({"valid/error": error, "epoch": epoch}, step=epoch)
    MetricsLog(tmp_path).log_metrics({"valid/error": 0.2, "epoch": 2}, step=9)
    assert read_metrics(tmp_path) == {"valid/error": [(0, 0.5), (1, 0.4), (2, 0.2)]}


def test_no_metrics_are_no_curves(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == {}
    assert csv_only(tmp_path, {}, None) == []
