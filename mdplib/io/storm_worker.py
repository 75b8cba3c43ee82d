"""A script that lets stormpy build a model and writes it to a file; run by `mdplib.io.storm`.

It stands alone, imports nothing of mdplib, and runs in a process of its own. Standard input is a
JSON object: ``language`` ("prism" or "jani"), ``source``, ``constants``, ``properties`` (text or
null), ``exact``, ``target`` (the file to write: DRN if exact, else UMB). Exit code 3 means that
stormpy cannot be imported; any other but 0 that it refused, with the reason on standard error.
"""

import json
import sys

MISSING = 3


def build(task):
    """Build the model of a task and write it."""
    import stormpy  # pyright: ignore[reportMissingImports]

    properties = []
    if task["language"] == "prism":
        model = stormpy.parse_prism_program(task["source"])
        if task["properties"]:
            properties = list(stormpy.parse_properties(task["properties"], model))
    else:
        model, properties = stormpy.parse_jani_model(task["source"])
        properties = list(properties)
    model, properties = stormpy.instantiate_constants(model, task["constants"], properties)
    options = _options(stormpy, model, properties, task["language"])
    kind = stormpy.Rational if task["exact"] else float
    built = stormpy.build_model[kind](model, options=options)
    if task["exact"]:
        stormpy.io.export_to_drn(built, task["target"])
    else:
        stormpy.io.export_to_umb(built, task["target"])


def _options(stormpy, model, properties, language):
    """Ask for all labels and rewards, and for the sets of states the properties speak of."""
    options = stormpy.BuilderOptions(properties) if properties else stormpy.BuilderOptions()
    options.set_build_all_labels()
    options.set_build_all_reward_models()
    if language == "prism":
        options.set_build_choice_labels()
    return options


if __name__ == "__main__":
    try:
        import stormpy  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        sys.stderr.write(str(error))
        sys.exit(MISSING)
    sys.tracebacklimit = 0
    build(json.load(sys.stdin))
