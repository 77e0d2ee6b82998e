"""A cluster that is yellow, as one of three nodes is dead: what the operator's commands do then."""

import subprocess
import sys

from outboxctl.domain.printable import brief
from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.clustered import HOLD, ClusterLab

COMMANDS = (*(("verify",),) * 4, ("rebuild", "--yes", "--by", "lab", "--reason", "yellow"), ("verify",))
COMMAND_SECONDS = 120.0


class YellowCommands(ClusterLab):
    """`verify` and `rebuild` while one of three nodes is dead."""

    name = "cluster-yellow-commands"
    title = BilingualText("verify and rebuild while a node is dead", "一个节点死亡时的 verify 与 rebuild")
    question = BilingualText(
        "Do verify and rebuild work while one of three nodes is dead, as it is on every rolling restart?",
        "三个节点之一死亡时（每次滚动重启都会），verify 与 rebuild 可用吗？",
    )
    hypothesis = BilingualText(
        "Every command tries the nodes that it has: verify finds no difference, rebuild comes to its end, "
        "and the worker delivers meanwhile.",
        "每个命令都会尝试可用的节点：verify 无差异，rebuild 完成，其间 worker 继续投递。",
    )
    settings = HOLD
    seconds = 40.0
    by_hand = (
        "outboxctl worker &",
        "kill -9 PID  # of a node",
        "outboxctl verify",
        "outboxctl rebuild --yes",
    )

    def inject(self, ctx: LabContext) -> None:
        """Kill a node while updates stream."""
        self.begin_stream(ctx)
        self.kill(ctx, ctx.cluster.nodes[0].name)

    def observe(self, ctx: LabContext) -> None:
        """Wait for events that are delivered; end the stream; run the commands."""
        goes_on = ("delivery goes on without the node", "少一个节点仍继续投递")
        self.expect_delivered(ctx, goes_on, 200, within=20)
        self.end_stream()
        ctx.expect_recovered(within=30)
        self.codes = [self._run(ctx, *command) for command in COMMANDS]

    def check(self, ctx: LabContext) -> None:
        """Each command has ended with exit code 0."""
        ctx.expect(("exit codes", "退出码"), [0] * len(COMMANDS), self.codes)
        ctx.expect_counts(failed=0, attempts_most=1, done=ctx.written)

    def _run(self, ctx: LabContext, *command: str) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "outboxctl", *command],
            env=ctx.namespace.environment(),
            cwd=ctx.namespace.home,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            ctx.log(f"{command[0]}: exit code {done.returncode}: {brief(done.stderr, 200)}")
        return done.returncode
