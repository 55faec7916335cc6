"""diascope explain: what a trained network looks at."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from diascope.cli.run import DeviceOption, TrustOption


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
    from diascope.app.explain import Asked
    from diascope.app.explain import explain as explain_run
    from diascope.cli.explain_display import say_explained

    chosen = tuple(methods or ["grad-cam"])
    asked = Asked(chosen, class_name, layer, checkpoint, scale, regions, sanity, most)
    explain_run(run, images or [], asked, out, say_explained, device=device, trust_code=trust_code)
