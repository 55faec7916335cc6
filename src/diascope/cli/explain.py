"""diascope explain: what a trained network looks at."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diascope.cli.run import DeviceOption, TrustOption
from diascope.core.errors import ConfigError


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, DIR/runs/<arm>/fold0-seed0.")],
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...", help="Paths as in the study's index.csv, or any image files."),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="grad-cam (default), grad-cam++, integrated-gradients or occlusion. Can be given several times.",
        ),
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="The class to explain. Default: the predicted one.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="The layer that Grad-CAM explains, or the end of its name. Default: the network's last."),
    ] = None,
    checkpoint: Annotated[
        Literal["last", "best"], typer.Option(help="The weights of the last epoch, as in the report, or the best.")
    ] = "last",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write. Default: RUN/explain.")] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="The value of full colour. Default: the method's own in this run.", min=1e-12),
    ] = None,
    regions: Annotated[
        bool, typer.Option("--regions", help="Also measure whether the maps lie where masks or boxes say.")
    ] = False,
    sanity: Annotated[
        bool, typer.Option("--sanity", help="Also test whether the maps change when the weights become random.")
    ] = False,
    most: Annotated[
        int, typer.Option(help="Images at most for --regions, spread over the validation side.", min=1)
    ] = 500,
    device: DeviceOption = "auto",
    trust_code: TrustOption = False,
) -> None:
    """Show which parts of an image speak for a class, in the eyes of the network of a finished RUN.

    Writes a picture with its scale (.png) and the raw map (.npz) of each IMAGE. All maps of a method have the same
    scale in a run, so that an empty map looks empty.

    Example: diascope explain moles-study/runs/plain/fold0-seed0 malignant/00001.png --method occlusion

    Example: diascope explain moles-study/runs/plain/fold0-seed0 --regions --sanity
    """
    from diascope.study.named_run import find_run

    record, found = find_run(run)
    if not (images or regions or sanity):
        remedy = "name a path of the study's index.csv or a file, or give --regions or --sanity"
        raise ConfigError("no IMAGE is named", where="diascope explain", remedy=remedy)
    folder = out or run / "explain"

    from diascope.cli.explain_display import say_regions, say_sanity
    from diascope.cli.terminal import say
    from diascope.explain.checks import check_regions, check_sanity, require_regions
    from diascope.explain.methods import check_method
    from diascope.explain.named import explain_named, find_images
    from diascope.study.explaining import open_subject, study_images
    from diascope.study.output import refuse_file, refuse_images

    chosen = list(dict.fromkeys(methods or ["grad-cam"]))
    for method in chosen:
        check_method(method, layer)
    labels = dict(zip(record.index["path"], record.index["label"], strict=True))
    refuse_file(folder)
    if out is not None:
        refuse_images(out, found.config["data"]["source"], record.index["path"])
    named = find_images(images or [], labels, found.config["data"]["source"])
    seen = study_images(record, found, whole=regions)
    subject = open_subject(record, found, checkpoint, device, seen, trust_code=trust_code)
    if regions:
        require_regions(subject)
    for method in chosen:
        if named:
            written = explain_named(subject, named, method, folder, class_name=class_name, layer=layer, scale=scale)
            for path in written:
                say(path)
        if regions:
            say_regions(method, check_regions(subject, method, layer, most), folder)
        if sanity:
            say_sanity(method, check_sanity(subject, method, layer), folder)
