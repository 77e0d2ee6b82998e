import java.nio.file.Path;
import java.util.stream.Stream;

import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.Node;

/** One OpenSearch node in this JVM, without the distribution's launcher. Arguments: HOME [setting=value ...] */
final class Engine {
    public static void main(String[] args) {
        try {
            run(configure(Path.of(args[0]), Stream.of(args).skip(1)));
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.exit(1); // the node's threads would keep a half-started JVM alive
        }
    }

    private static Environment configure(Path home, Stream<String> pairs) {
        Settings.Builder settings = Settings.builder().put("path.home", home.toString()).put("node.name", "outboxctl");
        pairs.map(pair -> pair.split("=", 2)).forEach(pair -> settings.put(pair[0], pair[1]));
        return new Environment(settings.build(), home.resolve("config"));
    }

    private static void run(Environment environment) throws Exception {
        LogConfigurator.registerErrorListener();
        LogConfigurator.setNodeName("outboxctl");
        Node node = new Node(environment);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        Thread.currentThread().join();
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (Exception failure) {
            failure.printStackTrace();
        }
    }
}
