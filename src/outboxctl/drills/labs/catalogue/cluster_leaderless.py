"""A cluster without a leader: two of three nodes are gone."""

from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.clustered import COUNT, HOLD, WORKER, ClusterLab
from outboxctl.drills.services.process import within

WINDOW = 15.0  # seconds without a leader
RECOVERY_SECONDS = 60.0  # until the cluster is green by itself
AGAIN = ("a node had to be started again", "需要再次启动的节点")


class NoLeader(ClusterLab):
    """One node of three is left: it answers, and can do nothing."""

    name = "cluster-no-leader"
    title = BilingualText("The cluster has no leader", "集群没有领导节点")
    question = BilingualText(
        "Does a node that answers without a leader make events fail, or lose attempts?",
        "没有领导节点时仍会响应的节点，会使事件 failed 或消耗 attempts 吗？",
    )
    hypothesis = BilingualText(
        "Under hold it is an outage like any other: /readyz is 503, no event fails or loses an attempt, and "
        "delivery goes on by itself once there is a leader.",
        "hold 策略下按故障处理：/readyz 返回 503，没有 failed，不消耗 attempts；有领导节点后自动继续。",
    )
    settings = HOLD
    attempts = 1
    turns = 2  # of /readyz
    seconds = 35.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        "kill -9 PID PID  # of two nodes of three",
        "curl -s localhost:9108/readyz",
        "outboxctl status --watch 1",
    )

    def inject(self, ctx: LabContext) -> None:
        """Kill the leader and another node while updates stream."""
        self.begin_stream(ctx)
        cluster, leader = ctx.cluster, ctx.cluster.leader()
        other, self.left = (node.name for node in cluster.nodes if node.name != leader)
        self.kill(ctx, *filter(None, (leader, other)))
        ctx.confirm(("there is no leader", "没有领导节点"), lambda: cluster.leader() is None)

    def observe(self, ctx: LabContext) -> None:
        """Wait until /readyz blames the sink; no event fails meanwhile."""
        self.expect_not_ready(ctx, within=WINDOW)
        ctx.pause(WINDOW)
        self.expect_none_failed(ctx)
        self.conclude_attempts(ctx)

    def recover(self, ctx: LabContext) -> None:
        """Wait until the cluster is green and no event is left.

        The node that was left is started again where it is not green in time. Seen with OpenSearch 2.19.6: it
        calls a copy the primary whose node answers for minutes that it is not in primary mode.
        """
        if not within(RECOVERY_SECONDS, ctx.cluster.healthy):
            ctx.conclude(AGAIN, self.left)
            self.turns += 2
            ctx.cluster.stop(self.left)
            ctx.cluster.restart(self.left)
        super().recover(ctx)

    def check(self, ctx: LabContext) -> None:
        """Everything is delivered, with the attempts it had."""
        ctx.expect_soon(("/readyz is 200 again", "/readyz 恢复 200"), lambda: ctx.ready(WORKER), within=15)
        self.expect_unharmed(ctx, attempts=self.attempts, turns=self.turns)
        ctx.expect_counts(done=ctx.written)


class NoLeaderCounted(NoLeader):
    """The same under `count`."""

    name = "cluster-no-leader-count"
    title = BilingualText("The cluster has no leader, under count", "集群没有领导节点（count）")
    hypothesis = BilingualText(
        "Under count it costs attempts, but fewer than there are: everything is delivered.",
        "count 策略下消耗 attempts，但不会用尽：全部投递。",
    )
    settings = COUNT
    attempts = 45
