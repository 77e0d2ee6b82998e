"""Chinese for what the labs say in single English lines: phases, comments in commands, needs, faults.

`in_language` looks a line up; a line that is not here stays English. A test holds that no phase, comment
or need is missing, and that nothing here is out of use.
"""

import re

COMMENT = re.compile(r"(?:^|(?<=  ))# (.+)$")  # of a shell command: a whole line, or after two spaces

PHASES = {
    "A load, and a worker that sends to whatever is going to be taken away.": (
        "写入负载，并启动一个 worker，它直接连接将要停掉的 ES。"
    ),
    "A load, of which some will be deleted.": "写入负载，其中一部分稍后会被删除。",
    "Some rows to change and delete.": "准备一些稍后要修改和删除的行。",
    "Two workers.": "启动两个 worker。",
    "Every row is at its second version.": "每一行都已是第二个版本。",
    "Both versions of each are delivered.": "每一行的两个版本都已投递。",
    "Kill the worker while a batch is under way: the sink holds it until then.": (
        "批次处理中（由 sink 拖住）时 kill worker。"
    ),
    "Wait until the dead worker's leases are over.": "等待已死 worker 的 lease 到期。",
    "Start the worker again.": "重新启动 worker。",
    "What section 4.4 expects of the table, the log and the metrics.": "按文档 4.4 节核对表、日志和指标。",
    "Take the sink away, then write events.": "先停掉 sink，再写入事件。",
    "Retries are scheduled again and again, spread over time, and no event is given up.": (
        "重试不断被安排并随时间分散，没有事件被放弃。"
    ),
    "All is delivered within the longest backoff, and what a busy machine adds.": (
        "在最长 backoff（加上机器繁忙的余量）之内全部投递。"
    ),
    "Everything arrived; the document's conclusion.": "全部到达；填写文档的结论记录。",
    "One bad event, and good ones in the same transaction: so in one batch.": (
        "一个坏事件和若干正常事件在同一事务写入，因此在同一批次。"
    ),
    "Neither the bad one nor its neighbours are under way any more.": "坏事件和同批事件都已处理完毕。",
    "What section 6.3 expects: failed for good, at once, with a reason; and counted.": (
        "按文档 6.3 节核对：立即进入终态 failed，带原因，并计入指标。"
    ),
    "Wait until all of them have failed.": "等待它们全部 failed。",
    "The sink is back: new events pass.": "sink 恢复：新事件可以通过。",
    "What section 7.4 expects, of the rows and of the metrics; and that `failed` is an end.": (
        "按文档 7.4 节核对行和指标，并确认 failed 是终态。"
    ),
    "Make events fail for good: an outage that outlasts their attempts.": (
        "让事件进入终态 failed：故障持续到 attempts 用尽。"
    ),
    "The rehearsal: what would move, and that nothing did.": "dry-run：会移动哪些事件，且实际没有变化。",
    "The root cause is fixed: replay, and wait until all is delivered.": (
        "根因已修复：replay，并等待全部投递。"
    ),
    "What section 8.3 expects of the rows, the audit, and what became of the events.": (
        "按文档 8.3 节核对行、审计记录以及事件的结果。"
    ),
    "When all is well no alert fires; then the sink goes away and events fail.": (
        "正常时没有告警；随后 sink 不可用，事件 failed。"
    ),
    "Three troubles, one after the other.": "依次制造三种故障。",
    "Everything was delivered, and no alert is left.": "全部投递，没有告警残留。",
    "Write rows, and write them again while their first events are still not done.": (
        "写入行，并在其第一个事件完成之前再次写入。"
    ),
    "Until the index holds both writes, one after the other, and nobody knows of it.": (
        "直到索引先后写入两次，而 worker 都没有收到响应。"
    ),
    "No document went back, and no event was done twice.": "没有文档回退，没有事件被完成两次。",
    "Both workers hold a batch, and then have to put it back: the sink says 503.": (
        "两个 worker 各持有一批，因 sink 返回 503 而放回。"
    ),
    "When the retries come.": "观察重试的时间。",
    "All by the database's clock, and nothing was taken from anybody.": (
        "全部以数据库时钟为准，没有事件被别的 worker 抢走。"
    ),
    "Take the right to write away while a batch is under way.": "批次处理中把数据库设为只读。",
    "What the probes say of it.": "观察探针的返回。",
    "All was done, and counted once.": "全部完成，且只计数一次。",
    "Kill the server while the sink has a batch that is not settled.": (
        "sink 持有未结算的批次时，kill 数据库服务器。"
    ),
    "The probes while it is away; then it is started again.": "观察数据库不可用时的探针，然后重新启动。",
    "The same process has done it all, once.": "同一进程完成全部事件，每个一次。",
    "End them while the sink has a batch, several times.": "sink 持有批次时多次终止数据库会话。",
    "Each event was claimed once and settled by whoever claimed it.": (
        "每个事件只被 claim 一次，并由 claim 它的 worker 结算。"
    ),
    "Second versions are under way and held up; meanwhile their rows are deleted.": (
        "第二版本在途被拖住；其间源行被删除。"
    ),
    "The upserts arrive at last.": "upsert 最终到达。",
    "None is back, and that is no error of any event.": "没有文档复活，也没有事件因此报错。",
    "Kill it while the sink's answer is on its way.": "sink 的响应返回途中 kill worker。",
    "The next worker delivers it again.": "下一个 worker 再次投递。",
    "As if it had been delivered once.": "结果与只投递一次相同。",
    "Five batches' worth of events for a sink that has no room.": "向已满的 sink 写入五批事件。",
    "Until it has come back twice: at once, if it did not care.": (
        "直到 worker 又请求两次；若不退避，会立即发生。"
    ),
    "Pauses between its requests, smaller ones, and nothing lost by it.": (
        "请求之间有停顿，请求变小，没有丢失。"
    ),
    "The same items each time: which ones, their ids decide.": "每次拒绝同样的条目，由 id 决定。",
    "Until some of them have been sent again.": "直到其中一些被重新发送。",
    "Each one taken once, and counted once.": "每个条目只被接收一次、计数一次。",
    "One that does not fit and others that do, in one transaction: so in one batch.": (
        "一个不符合 mapping 的事件和其他正常事件在同一事务写入，因此在同一批次。"
    ),
    "One failed, at once, with its reason; and nobody else.": "只有它立即 failed 并带原因，其他不受影响。",
    "Block writes, then write.": "先禁止写入，再写事件。",
    "Until all of them have been refused, and some tried again.": "直到全部被拒绝，且其中一些已重试。",
    "All delivered, none failed.": "全部投递，没有 failed。",
    "Four batches' worth of events for a sink that takes none.": "向拒绝一切的 sink 写入四批事件。",
    "Until more requests were refused than an event has attempts.": "直到被拒请求数超过 max attempts。",
    "Nothing was burnt, and it is ready again without anybody's help.": (
        "没有消耗 attempts，并自动恢复 ready。"
    ),
    "The large one and small ones, in one transaction: so in one batch.": (
        "一个超大事件和若干小事件在同一事务写入，因此在同一批次。"
    ),
    "Until all of them are at an end, with the limit still there.": "限制仍在，直到全部处理完毕。",
    "One failed, alone, at once.": "只有它立即 failed。",
    "The poison among its neighbours, in one batch, and the first death.": (
        "毒事件与其他事件在同一批次，worker 第一次死亡。"
    ),
    "The second, once its lease is over; no worker has to die a third time.": (
        "lease 到期后第二次死亡；不需要第三次。"
    ),
    "It alone has failed, and was alone when it was sent again.": "只有它 failed，且重发时单独发送。",
    "Write from before the rebuild until after it.": "从 rebuild 之前一直写到其后。",
    "Every row has its document, and no document is without a row.": "每一行都有文档，没有多余的文档。",
    "One batch into a sink that takes its time.": "向响应很慢的 sink 发送一批。",
    "Until the worker has given up by itself, or somebody else has taken the events from it.": (
        "直到 worker 自行放弃，或事件被别的 worker 取走。"
    ),
    "No event had two holders.": "没有事件同时被两个 worker 持有。",
    "For each row an event of its first version: upserts, and deletes.": (
        "为每一行写入第一版本的旧事件：upsert 和 delete。"
    ),
    "No document has moved.": "没有文档变化。",
    "All of them in one request that is refused.": "全部在同一个被拒绝的请求中。",
    "When are they due? Then the sink comes back, before the first of them does.": (
        "记录各自的重试时间；在第一个到期之前恢复 sink。"
    ),
    "Spread when they fell due, and none came sooner: later is what a busy machine does.": (
        "到期时间分散，没有提前；推迟是机器繁忙所致。"
    ),
    "The second comes while the first has a batch in hand and more is waiting.": (
        "第一个 worker 持有批次且仍有积压时，第二个加入。"
    ),
    "One claim and one count for each event.": "每个事件只 claim 一次、计数一次。",
    "Freeze the worker while the sink holds its batch.": "sink 拖住批次时冻结 worker。",
    "One worker holds an event of it, another does the rest and newer versions; then it wakes.": (
        "一个 worker 持有其中一个事件，另一个处理其余事件和新版本；然后唤醒。"
    ),
    "What was late at the sink took no document back, and each event was counted once.": (
        "迟到的写入没有使文档回退，每个事件只计数一次。"
    ),
}
COMMENTS = {
    "if you have no system for it yet:": "如果还没有可用的系统：",
    "a few seconds later, while events are processing": "几秒后，事件处于 processing 时",
    "^C once stuck is above 0": "stuck 大于 0 后按 ^C",
    "^C once its log says Reclaimed": "日志出现 Reclaimed 后按 ^C",
    "none": "没有",
    "all is done soon": "很快全部 done",
    "the one that inject printed": "inject 输出的 id",
    "^C once they are failed": "全部 failed 后按 ^C",
    "they stay failed": "保持 failed",
    "there are some, for example of lab 4": "例如实验 4 留下的 failed 事件",
    "nothing is left processing": "没有残留的 processing",
    "pending, error_reason connection_lost": "pending，error_reason 为 connection_lost",
    "nothing is stuck": "没有 stuck",
    "nothing": "没有输出",
    "as psql has it": "psql 的写法",
    "the pid of postgres": "postgres 的 pid",
    "with Docker: docker kill CONTAINER": "使用 Docker 时：docker kill CONTAINER",
    "starts it again": "重新启动",
    "one that is not up yet would end": "尚未启动完成的 worker 会退出",
    "straight to the sink": "直接连接 sink",
    "then: kill -9 %2": "然后：kill -9 %2",
    "attempts and error_reason of the oldest pending": "最老 pending 的 attempts 和 error_reason",
    "pending, error_reason write_blocked": "pending，error_reason 为 write_blocked",
    "long enough to kill a worker that waits for its answer": "足够长，以便在 worker 等待响应时 kill 它",
    "the lease's end": "等待 lease 到期",
    "both under `workers`": "`workers` 下有两个",
    "waits for the lease's end": "等待 lease 到期",
}
NEEDS = {
    "a real Elasticsearch": "真实的 Elasticsearch",
    "a search engine of its own to stop": "可单独停止的搜索引擎",
    "a database of its own, to change its settings and end its sessions": (
        "独立的数据库，以便修改设置、终止会话"
    ),
    "a PostgreSQL server of its own to restart": "可单独重启的 PostgreSQL",
}
FAULTS = {
    "bulk requests applied, their answers lost": "bulk 请求已写入，响应丢失",
    "an event with an unknown op": "op 未知的事件",
    "the clock of worker w2 is an hour behind": "worker w2 的时钟慢一小时",
    "the sink says 503": "sink 返回 503",
    "the database is read-only": "数据库只读",
    "PostgreSQL is killed": "PostgreSQL 被 kill",
    "sessions are ended": "数据库会话被终止",
    "SIGKILL to worker w1 after the sink has applied its batch": "sink 写入批次后对 worker w1 发 SIGKILL",
    "a mapping that wants numbers": "要求数字的 mapping",
    "503 to every bulk request": "所有 bulk 请求返回 503",
    "a row over the limit among others": "其中一行超过大小限制",
    "no answer to a large request": "大请求没有响应",
    "an event over which its worker dies": "使 worker 死亡的事件",
    "rebuild under load": "负载下 rebuild",
    "events older than their rows": "比源行旧的事件",
    "a second worker joins under load": "负载下加入第二个 worker",
    "every connection to the sink is refused": "sink 拒绝所有连接",
    "the search engine is stopped": "搜索引擎停止",
    "the upserts are held up before the sink": "upsert 在到达 sink 之前被拖住",
}
# Faults that hold a value, and what the timeline puts before a fault.
PATTERNS = tuple(
    (re.compile(english), chinese)
    for english, chinese in (
        (r"(SIG\w+) to worker (\w+)", r"对 worker \2 发 \1"),
        (
            r"SIGKILL to worker (\w+) over the poison, time (\d+)",
            r"对处理毒事件的 worker \1 发 SIGKILL，第 \2 次",
        ),
        (r"the sink holds the batch of worker (\w+)", r"sink 拖住 worker \1 的批次"),
        (r"(\d+%) of the items refused with (\d+)", r"\1 的条目返回 \2"),
        (
            r"(\d+) with Retry-After: (\d+) to every bulk request",
            r"所有 bulk 请求返回 \1，Retry-After 为 \2 秒",
        ),
        (r"every bulk request is answered a byte each (\S+) s", r"bulk 响应每 \1 秒一个字节"),
        (r"index\.blocks\.write on (\S+)", r"\1 禁止写入"),
        (r"replayed (\d+) events as (.+)", r"\2（replay 了 \1 个事件）"),
        (r"a row whose text is (.+)", r"text 为 \1 的行"),
    )
)
BEGINNINGS = {"fault: ": "故障：", "undone: ": "已撤销：", "control run, left out: ": "对照运行，未注入："}
CHINESE = PHASES | COMMENTS | NEEDS | FAULTS


def in_language(text: str, language: str) -> str:
    """A line in `en` or `zh`; English where there is no Chinese for it."""
    if language != "zh":
        return text
    if text in CHINESE:
        return CHINESE[text]
    for english, chinese in BEGINNINGS.items():
        if text.startswith(english):
            return chinese + in_language(text.removeprefix(english), language)
    found = ((pattern.fullmatch(text), chinese) for pattern, chinese in PATTERNS)
    return next((match.expand(chinese) for match, chinese in found if match), text)


def command(line: str, language: str) -> str:
    """A shell command, its comment in this language."""
    return COMMENT.sub(lambda found: f"# {in_language(found[1], language)}", line)
