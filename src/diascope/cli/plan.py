"""diascope plan: what would run."""

from collections import Counter
from pathlib import Path

from diascope.cli.run import OnUnreadableOption, OutOption, Setting, StudyArgument, TrustOption


def plan(
    study: StudyArgument,
    out: OutOption = None,
    settings: Setting = None,
    on_unreadable: OnUnreadableOption = "error",
    trust_code: TrustOption = False,
) -> None:
    """Show what `diascope run` would do: runs are todo, in training, unfinished, done, extend or stale. Trains nothing.

    extend: the same run with fewer epochs is there, and goes on from its last one.

    Example: diascope plan study.yaml --out results
    """
    from rich.table import Table
    from rich.text import Text

    from diascope.cli.display import Display
    from diascope.cli.terminal import Terminal
    from diascope.core.events import counter
    from diascope.predict.trust import networks_of, refuse_code
    from diascope.recipes import find_study
    from diascope.study.channels import following_images
    from diascope.study.images import DECODING, read_images
    from diascope.study.output import STUDY, refuse_foreign
    from diascope.study.plan import plan as plan_runs
    from diascope.study.plan import reasons_of, same_arms

    found = find_study(study, settings)
    folder = out or Path(found.config.name)
    refuse_foreign(folder, STUDY)
    refuse_code(networks_of(found), trusted=trust_code)
    found = following_images(found, folder)
    with Display() as display:
        images = read_images(found, folder, on_unreadable=on_unreadable, progress=counter(display, DECODING))
    cells = plan_runs(found, images, folder)
    table = Table("arm", "fold", "seed", "run", "state", title=Text(f"{found.config.name} in {folder}"))
    looks = found.config.planned_looks
    for cell in cells:
        config = cell.task.config
        table.add_row(cell.task.arm, str(config.fold), str(config.seed), cell.task.run_id, cell.state)
    console = Terminal()
    console.print(table)
    counts = Counter(cell.state for cell in cells)
    console.print(", ".join(f"{count} {state}" for state, count in counts.items()))
    if len(looks) > 1:
        shown = len({cell.task.config.seed for cell in cells})
        planned = f"{', '.join(map(str, looks[:-1]))} and {looks[-1]}"
        console.print(
            f"planned looks: at {planned} seeds, until every verdict is decided; shown are the {shown} asked for now",
            soft_wrap=True,
        )
    if counts["stale"]:
        console.print(
            "stale: trained with another configuration or other images; nothing is overwritten without --retrain"
        )
    for why in reasons_of(cells):
        console.print(f"stale: {why}", soft_wrap=True, markup=False)
    for finding in same_arms({cell.task.arm: cell.task.run_id for cell in cells[: len(found.arms)]}):
        console.print(f"warning: {finding.sentence}", soft_wrap=True, markup=False)
    if counts["extend"]:
        console.print("extend: trained for fewer epochs; goes on from the last one")
