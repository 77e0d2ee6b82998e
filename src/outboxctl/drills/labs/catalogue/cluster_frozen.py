"""A node of a cluster is frozen: longer than the others wait for it."""

from outboxctl.drills.labs import BilingualText, LabContext
from outboxctl.drills.labs.clustered import COUNT, DETECTION_SECONDS, HOLD, ClusterLab

OTHERS = 2  # nodes
WINDOW = 10.0  # seconds of observation once the cluster has given the node up
LEAST = 0.6  # share of the events written in that time that must be delivered in it


class NodeFrozen(ClusterLab):
    """A node that accepts connections and answers nothing, as a paused machine does."""

    name = "cluster-node-frozen"
    title = BilingualText("A node is frozen, and the cluster gives it up", "节点冻结，被集群移除")
    question = BilingualText(
        "Does a node that accepts connections and never answers go on costing time once the cluster works "
        "without it?",
        "接受连接却从不响应的节点，在集群移除它之后还会拖慢投递吗？",
    )
    hypothesis = BilingualText(
        "Until the cluster has given it up, writes to its shards hang in the engine; afterwards the worker "
        "leaves the node alone and delivers at the rate of the writers. No event fails or loses an attempt.",
        "集群移除它之前，写入其分片的请求会挂起；之后 worker 避开该节点，投递跟上写入。"
        "没有 failed，不消耗 attempts。",
    )
    settings = HOLD
    attempts = 1
    seconds = 45.0
    by_hand = (
        "outboxctl worker &",
        "outboxctl inject load --scenario update --total 20000 --rate 100 &",
        "kill -STOP PID  # of a node",
        "outboxctl status --watch 1",
        "kill -CONT PID",
    )

    def inject(self, ctx: LabContext) -> None:
        """Freeze a node that does not lead, until the others go on without it."""
        self.begin_stream(ctx)
        cluster, leader = ctx.cluster, ctx.cluster.leader()
        self.frozen = next(node.name for node in cluster.nodes if node.name != leader)
        ctx.fault(
            f"SIGSTOP to {self.frozen}",
            lambda: cluster.freeze(self.frozen),
            cluster.heal,
        )
        given_up = ("the cluster has given the node up", "集群已移除该节点")
        ctx.confirm(given_up, lambda: cluster.members == OTHERS, DETECTION_SECONDS)

    def observe(self, ctx: LabContext) -> None:
        """Compare what is delivered with what is written, for some seconds."""
        goes_on = ("delivery goes on without the node", "少一个节点仍继续投递")
        self.expect_delivered(ctx, goes_on, 1, within=15)
        done, written = ctx.counts().done, ctx.written
        ctx.pause(WINDOW)
        done, written = ctx.counts().done - done, ctx.written - written
        share = ("delivered of what was written meanwhile", "期间投递与写入之比")
        ctx.expect(share, f"at least {LEAST:.0%} of {written}", done, met=done >= LEAST * written)

    def check(self, ctx: LabContext) -> None:
        """No event has failed or lost an attempt, and /readyz did not alternate."""
        self.expect_unharmed(ctx, attempts=self.attempts, turns=4)
        ctx.expect_counts(done=ctx.written)


class NodeFrozenCounted(NodeFrozen):
    """The same under `count`."""

    name = "cluster-node-frozen-count"
    title = BilingualText("A node is frozen, under count", "节点冻结（count）")
    hypothesis = BilingualText(
        "Under count the requests that hang cost some attempts; afterwards delivery is as fast as before.",
        "count 策略下，挂起的请求消耗少量 attempts；之后投递恢复原速。",
    )
    settings = COUNT
    attempts = 15
