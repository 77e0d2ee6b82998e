"""Nodes of a cluster are killed and restarted: one, each in turn, all."""

from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.clustered import COUNT, HOLD, WORKER, ClusterLab

AFTER = 400  # events delivered while the node is away
SOON = 20.0  # seconds for them: an election takes some
GOES_ON = ("delivery goes on without the node", "少一个节点仍继续投递")
BY_HAND = (
    "outboxctl worker &",
    "outboxctl inject load --scenario update --total 20000 --rate 100 &",
    'curl -s "$ELASTIC_URL/_cat/shards/$ELASTIC_INDEX?v"  # which node has a primary',
    "kill -9 PID  # of that node",
    "outboxctl status --watch 1",
)


class NodeKilled(ClusterLab):
    """One of three nodes is killed while updates stream, and restarted."""

    settings = HOLD

    def victim(self, ctx: LabContext) -> str:
        """The name of the node to kill."""
        raise NotImplementedError

    def inject(self, ctx: LabContext) -> None:
        """Kill a node while updates stream."""
        self.begin_stream(ctx)
        self.kill(ctx, self.victim(ctx))

    def observe(self, ctx: LabContext) -> None:
        """Wait for events that are delivered without it."""
        self.expect_delivered(ctx, GOES_ON, AFTER, SOON)

    def check(self, ctx: LabContext) -> None:
        """No event has failed or lost an attempt, and the worker stayed ready."""
        self.expect_unharmed(ctx, attempts=1, turns=2)
        ctx.expect_counts(done=ctx.written)


class PrimaryKilled(NodeKilled):
    """The node of a primary is killed."""

    name = "cluster-primary-killed"
    title = BilingualText("The node of a primary shard is killed", "主分片所在节点被 kill")
    question = BilingualText(
        "Does the death of a node that holds a primary cost events, attempts or readiness?",
        "持有主分片的节点死亡，会损失事件、attempts 或 readiness 吗？",
    )
    hypothesis = BilingualText(
        "A replica takes over within seconds, the worker sends to the other nodes, nothing fails, no "
        "attempt is lost, and /readyz does not alternate.",
        "副本在数秒内接管，worker 改发其他节点，没有 failed，不消耗 attempts，/readyz 不反复变化。",
    )
    seconds = 20.0
    by_hand = BY_HAND

    def victim(self, ctx: LabContext) -> str:
        """The node of the first shard's primary."""
        return ctx.cluster.holder(ctx.settings.elastic_index)


class LeaderKilled(NodeKilled):
    """The node that leads is killed."""

    name = "cluster-leader-killed"
    title = BilingualText("The node that leads the cluster is killed", "领导节点被 kill")
    question = BilingualText(
        "Does an election stop the delivery, or fail events?", "选举期间投递会中断，或使事件 failed 吗？"
    )
    hypothesis = BilingualText(
        "Two of three nodes elect another leader within seconds; nothing fails and no attempt is lost.",
        "三个节点中的两个在数秒内选出新的领导节点；没有 failed，不消耗 attempts。",
    )
    seconds = 20.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        'curl -s "$ELASTIC_URL/_cat/nodes?v"  # the one with the star leads',
        "kill -9 PID  # of that node",
        "outboxctl status --watch 1",
    )

    def victim(self, ctx: LabContext) -> str:
        """The node that leads."""
        return ctx.cluster.leader() or ctx.cluster.nodes[0].name


class RollingRestart(ClusterLab):
    """Each node is stopped in peace and started again, one after the other."""

    name = "cluster-rolling-restart"
    title = BilingualText("A rolling restart of the cluster", "集群滚动重启")
    question = BilingualText(
        "Can a cluster be restarted node by node under load without losing an event or an attempt?",
        "负载下逐个重启节点，会丢失事件或 attempts 吗？",
    )
    hypothesis = BilingualText(
        "Delivery goes on all the time, nothing fails, and no attempt is lost.",
        "全程继续投递，没有 failed，不消耗 attempts。",
    )
    settings = HOLD
    seconds = 35.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        "systemctl restart elasticsearch  # on each node, once the cluster is green again",
        "outboxctl status --watch 1",
    )

    def inject(self, ctx: LabContext) -> None:
        """Restart one node after the other while updates stream."""
        self.begin_stream(ctx)
        before, pids = ctx.counts().done, [node.pid for node in ctx.cluster.nodes]
        ctx.fault("each node is stopped and started again", lambda: self._roll(ctx))
        restarted = ("each node has another process", "每个节点都换了进程")
        ctx.confirm(
            restarted,
            lambda: all(node.pid not in (None, *pids) for node in ctx.cluster.nodes),
            within=1,
        )
        self.meanwhile = ctx.counts().done - before

    def check(self, ctx: LabContext) -> None:
        """Events were delivered meanwhile, none has failed or lost an attempt."""
        meanwhile = ("events done meanwhile", "期间完成的事件")
        ctx.expect(meanwhile, f"at least {AFTER}", self.meanwhile, met=self.meanwhile >= AFTER)
        self.expect_unharmed(ctx, attempts=1, turns=2)
        ctx.expect_counts(done=ctx.written)

    def _roll(self, ctx: LabContext) -> None:
        for node in ctx.cluster.nodes:
            ctx.cluster.stop(node.name)
            ctx.cluster.restart(node.name)
            ctx.cluster.wait_for("green")


class FullRestart(ClusterLab):
    """All nodes are killed at once, and started again on their data."""

    name = "cluster-full-restart"
    title = BilingualText("All nodes of the cluster are killed", "全部节点被 kill")
    question = BilingualText(
        "Does the loss of a whole cluster for seconds fail events, or lose what was acknowledged?",
        "整个集群停机数秒，会使事件 failed，或丢失已确认的写入吗？",
    )
    hypothesis = BilingualText(
        "Under hold the circuit opens and /readyz says why; once the nodes are back everything is "
        "delivered by itself, and no event has lost an attempt.",
        "hold 策略下熔断打开，/readyz 说明原因；节点恢复后自动投递全部事件，不消耗 attempts。",
    )
    settings = HOLD
    attempts = 1
    seconds = 25.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        "kill -9 PID PID PID  # of all nodes; then start them again",
        "curl -s localhost:9108/readyz",
        "outboxctl status --watch 1",
    )

    def inject(self, ctx: LabContext) -> None:
        """Kill all nodes while updates stream."""
        self.begin_stream(ctx)
        self.kill(ctx, *(node.name for node in ctx.cluster.nodes))

    def observe(self, ctx: LabContext) -> None:
        """Wait until /readyz blames the sink, and no event fails."""
        self.expect_not_ready(ctx, within=15)
        ctx.pause(5.0)
        self.expect_none_failed(ctx)

    def check(self, ctx: LabContext) -> None:
        """Everything is delivered, and the worker became ready by itself."""
        ctx.expect_soon(("/readyz is 200 again", "/readyz 恢复 200"), lambda: ctx.ready(WORKER), within=15)
        self.expect_unharmed(ctx, attempts=self.attempts, turns=2)
        ctx.expect_counts(done=ctx.written)


class FullRestartCounted(FullRestart):
    """The same under `count`, where the outage costs attempts and fails nothing."""

    name = "cluster-full-restart-count"
    title = BilingualText("All nodes are killed, under count", "全部节点被 kill（count）")
    hypothesis = BilingualText(
        "Under count the outage costs attempts, but fewer than there are: everything is delivered.",
        "count 策略下消耗 attempts，但不会用尽：全部投递。",
    )
    settings = COUNT
    attempts = 45
