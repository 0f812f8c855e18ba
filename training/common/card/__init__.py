"""The step `card` of every role: keep a run's figures, and write the bundle's model card of them.

A model card (Mitchell et al. 2019, arXiv:1810.03993) here is made of `training/reports/ROLE.json`
(figures of the run whose weights are in the bundle), `models.json` and the bundle's files, and
`texts.yaml` (what no figure can say). It can be written anew without pictures and without runs.
"""

from pathlib import Path

from training.common.card.render import render
from training.common.card.report import collect, joined, read_reports, write_report
from training.common.paths import ROOT
from training.common.settings import RunSettings

TEXTS = ROOT / "training" / "configs" / "card" / "texts.yaml"
NAME = "README.md"


def write_card(
    config: RunSettings, path: Path, models: Path, reports: Path, checkpoint: str
) -> None:
    """Keep the figures of the run in `reports`; write the card into the bundle's folder `models`.

    `path` is the config's file; `checkpoint` says whose figures, where a run has several. Without
    the run's folder, as in a fresh clone, the card is written of the kept figures alone; figures
    kept of the same bundled file stay where the folder has none of that name.
    """
    if config.run_dir.is_dir():
        kept = read_reports(reports).get(config.role)
        report = joined(kept, collect(config, path, models, checkpoint))
        write_report(reports, report)
        print(f"{reports / config.role}.json: {', '.join(report['figures']) or 'no figures'}")
    else:
        print(f"no {config.run_dir}: the card is written of the figures in {reports}")
    card = models / NAME
    card.write_text(render(models, read_reports(reports), TEXTS), encoding="utf-8")
    print(card)
