//! The pages of the manual, so that every program in them is compiled and run.

macro_rules! pages {
    ($($name:ident = $page:literal,)*) => {
        $(
            #[doc = include_str!(concat!("../../../docs/", $page))]
            struct $name;
        )*
    };
}

pages! {
    Choosing = "choosing.md",
    Encoder = "tutorials/encoder.md",
    Database = "tutorials/database.md",
    Pipeline = "tutorials/pipeline.md",
    BuildTool = "tutorials/build-tool.md",
    HttpServer = "tutorials/http-server.md",
    Await = "tutorials/await.md",
    Configuration = "configuration.md",
    Tuning = "tuning.md",
    ReadingAReport = "reading-a-report.md",
    Prometheus = "prometheus.md",
    Platforms = "platforms.md",
    FromBumpalo = "migrating/bumpalo.md",
    FromObjectPool = "migrating/object-pool.md",
    FromBytes = "migrating/bytes.md",
}
