import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** One Elasticsearch node in this JVM, without the distribution's launcher. Arguments: HOME [setting=value ...] */
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
        Settings.Builder settings = Settings.builder().put("path.home", home.toString());
        pairs.map(pair -> pair.split("=", 2)).forEach(pair -> settings.put(pair[0], pair[1]));
        return new Environment(settings.build(), home.resolve("config"));
    }

    private static void run(Environment environment) throws Exception {
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureESLogging(); // before the first class that asks for a logger
        LogConfigurator.setNodeName("outboxctl");
        var modules = PluginsLoader.loadModulesBundles(environment.modulesDir());
        var plugins = PluginsLoader.loadPluginsBundles(environment.pluginsDir());
        Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, plugins, Map.of(), false));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        Thread.currentThread().join();
    }

    private static void close(Node node) {
        try (node) {
            node.prepareForClose();
        } catch (Exception failure) {
            failure.printStackTrace();
        }
    }
}
