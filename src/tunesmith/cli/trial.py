"""`challenge` and `trial`: a model is tried beside the champion, and what comes of it is told."""

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import console
from tunesmith.cli.options import WORKSPACE, AsJson, Debug, Quiet, Workspace
from tunesmith.cli.tables import table_lines

if TYPE_CHECKING:
    from tunesmith.ledger.steps import Standing
    from tunesmith.pipeline.trial import Shadowed, TrialState

Line = Annotated[str, typer.Option(help="Line of service.")]


def challenge(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A round's id, or the folder of a model.", show_default=False)
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Its answers are computed and not shown.")] = False,
    share: Annotated[float | None, typer.Option(help="It answers this share of users, as 0.1.", show_default=False)] = None,
    end: Annotated[bool, typer.Option("--end", help="End the trial that runs; the champion stays.")] = False,
    promote_when_better: Annotated[
        bool, typer.Option("--promote-when-better", help="The gateway promotes it once opinions show it.")
    ] = False,
    end_when_worse: Annotated[bool, typer.Option("--end-when-worse", help="The gateway ends the trial once opinions show it.")] = False,
    one_key: Annotated[
        bool, typer.Option("--one-key", help="One key may speak for most users: it is an application's, whose user names are true.")
    ] = False,
    why: Annotated[str | None, typer.Option(help="Kept with the step.", show_default=False)] = None,
    who: Annotated[str | None, typer.Option(help="Kept with the step; your login name where absent.", show_default=False)] = None,
    line: Line = "champion",
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Try a model beside the champion, or end the trial. A gateway that runs follows at once."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.core.errors import RecipeError
        from tunesmith.core.login import login_name
        from tunesmith.pipeline import trial as trials
        from tunesmith.pipeline.workspace import Workspace as Place

        by = who or login_name() or "somebody"
        if end:
            if model is not None or shadow or share is not None:
                raise RecipeError("--end ends the trial that runs and takes no model: leave the rest out.")
            told = trials.end(line, by, why or "the trial was ended", Place(workspace))
            spoken.answer(
                _shown(told), [f"The trial of '{line}' is over: {told.champion and told.champion.model} stays (step {told.number})."]
            )
            return
        if model is None or shadow == (share is not None):
            raise RecipeError("Name a model and how it is tried: tunesmith challenge MODEL --shadow, or --share 0.1; --end ends a trial.")
        reason = why or ("tried in shadow" if shadow else f"tried on {share:g} of requests")
        told = trials.challenge(
            trials.Challenge(
                model=model, mode="shadow" if shadow else "share", share=share, line=line, who=by, why=reason,
                promote_when_better=promote_when_better, end_when_worse=end_when_worse, one_key=one_key,
            ),
            Place(workspace),
        )  # fmt: skip
        how = "in shadow" if shadow else f"on a share of {share:g}"
        beside = f"{told.challenger and told.challenger.model} is tried {how} beside {told.champion and told.champion.model}"
        spoken.answer(_shown(told), [f"{beside} (step {told.number}). tunesmith trial tells how it stands."])


def trial(
    line: Line = "champion",
    workspace: Workspace = WORKSPACE,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell how the trial of a challenger stands."""
    with console(workspace, as_json, quiet, debug) as spoken:
        from tunesmith.pipeline.trial import trial_state
        from tunesmith.pipeline.workspace import Workspace as Place

        with Place(workspace).ledger() as ledger:
            state = trial_state(line, ledger)
        spoken.answer(state.to_json(), _lines(state))


def _lines(state: "TrialState") -> list[str]:
    from tunesmith.pipeline.trial import MOST_OF_ONE_KEY, one_key_words, verdict_words

    standing = state.standing
    assert standing.challenger is not None and standing.champion is not None
    how = "in shadow" if standing.mode == "shadow" else f"on a share of {standing.share:g}"
    begun = f"{standing.challenger.model} is tried {how} beside {standing.champion.model}, since {standing.challenger.since} (step {standing.number})."
    if state.shadow is not None:
        return [begun, *_shadow_lines(state.shadow)]
    assert state.opinions is not None
    sides = [("champion", state.opinions.champion), ("challenger", state.opinions.challenger)]
    rows = [[name, f"{side.opinions:,}", f"{side.people:,}", "-" if side.liked is None else f"{side.liked:.1%}"] for name, side in sides]
    itself = [
        text for text, allowed in (("promoted where better", state.rule.promote_when_better), ("ended where worse", state.rule.end_when_worse))
        if allowed
    ]  # fmt: skip
    by_itself = [f"By itself it is {' and '.join(itself)}."] if itself else []
    if itself and not state.rule.one_key and (state.of_one_key or 0.0) > MOST_OF_ONE_KEY:
        by_itself.append(one_key_words(state.of_one_key or 0.0))
    return [begun, *table_lines(["side", "opinions", "users", "good"], rows), verdict_words(state.opinions), *by_itself]


def _shadow_lines(found: "Shadowed") -> list[str]:
    if not found.requests:
        return ["No request was answered since."]
    agree = "nothing to compare"
    if found.agree is not None:
        agree = f"the same answer to {found.agree:.1%} ({found.agree_low:.1%} to {found.agree_high:.1%})"
    lines = [f"{found.requests:,} requests, {found.compared:,} answered by both: {agree}."]
    if found.lost:
        lines.append("Not compared: " + ", ".join(f"{count:,} {why}" for why, count in sorted(found.lost.items())) + ".")
    pairs = [
        ("confidence", found.champion_confidence, found.challenger_confidence),
        ("seconds", found.champion_seconds, found.challenger_seconds),
    ]
    rows = [[name, f"{a:.3f}", f"{b:.3f}"] for name, a, b in pairs if a is not None and b is not None]
    return [*lines, *(table_lines(["", "champion", "challenger"], rows) if rows else [])]


def _shown(standing: "Standing") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(standing)
