"""The alerts of lab 6: what `outboxctl check` finds beyond its limits, when all is well and when not."""

from outboxctl.drills.labs.model import BilingualText
from outboxctl.drills.labs.scene import Scene
from outboxctl.operations.check import figures
from outboxctl.operations.check.figures import CheckLimits

SLA_SECONDS = 0.5
# Alert thresholds: the oldest event beyond the SLA, anything stuck, any event failed within the window.
LIMITS = CheckLimits(SLA_SECONDS, failed_growth=0, window=300)
ALERTS = {
    "oldest": BilingualText("alert: the oldest event is beyond the SLA", "报警：oldest_age 超 SLA"),
    "failed_growth": BilingualText("alert: a surge of terminal failures", "报警：terminal_failed 激增"),
    "stuck": BilingualText("alert: stuck above 0", "报警：stuck>0"),
}


def fires(scene: Scene, name: str, within: float) -> bool:
    """Whether this alert comes; if not, the lab has failed."""
    return scene.expect_soon(ALERTS[name], lambda: name in beyond(scene), within)


def silent(scene: Scene) -> None:
    """No alert is to be there."""
    scene.expect(BilingualText("no alert when all is well", "正常时没有报警"), [], beyond(scene))


def beyond(scene: Scene) -> list[str]:
    """The figures beyond their limits, as `outboxctl check` has them."""
    seconds = scene.settings.max_processing_seconds
    facts = scene.transact(lambda connection: figures.read(connection, LIMITS, max_processing=seconds))
    return [figure.name for figure in figures.judge(facts, LIMITS) if not figure.well]
