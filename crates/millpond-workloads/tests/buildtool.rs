//! The build tool in all modes: same bytes, read by the tools that people have.

use millpond_testing::{TestAllocator, count};
use millpond_workloads::buildtool::flags::Description;
use millpond_workloads::buildtool::log::{Level, Log};
use millpond_workloads::buildtool::memory::{Heap, Memory, Pooled};
use millpond_workloads::buildtool::reference::Reference;
use millpond_workloads::buildtool::{Built, Service, Workshop, archive};
use millpond_workloads::corpus;
use proptest::prelude::*;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

fn sources() -> (PathBuf, Vec<PathBuf>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = corpus::files(&root);
    (root, files)
}

fn description() -> Description {
    let mut description = Description::default();
    for n in 0..6 {
        description
            .label(&format!("org.example.label{n}"), "value")
            .unwrap();
        description
            .argument(&format!("ARGUMENT_{n}"), "value")
            .unwrap();
    }
    description.platform("linux/amd64").unwrap();
    description
}

fn build<M: Memory>(memory: &M) -> (Built, Vec<u8>, Vec<u8>) {
    let (root, files) = sources();
    let description = description();
    let job = Service {
        image: "me/app",
        description: &description,
        context: &root,
        files: &files,
    };
    let mut log = Log::new(memory, Level::Debug, Vec::new());
    let (mut tar, mut archived) = (Vec::new(), 0);
    let mut workshop = Workshop::new(memory, 2).unwrap();
    let built = workshop.build(&job, &mut log, &mut tar, |bytes| archived += bytes);
    let built = built.unwrap();
    let bytes = |path: &PathBuf| path.metadata().unwrap().len();
    assert_eq!(archived, files.iter().map(bytes).sum::<u64>());
    // The second time every digest is known, and nothing else differs.
    let again = workshop.build(&job, &mut log, io::sink(), |_| ()).unwrap();
    assert_eq!(again, built);
    let count = files.len() as u64;
    assert_eq!(workshop.files().hits_and_misses(), (count, count));
    log.flush().unwrap();
    (built, tar, log.into_inner())
}

#[test]
fn a_build_is_the_same_in_every_mode() {
    let heap = build(&Heap);
    let pools = Pooled::new().unwrap();
    assert_eq!(build(&pools), heap);
    assert_eq!(
        (heap.0.flags, &*heap.0.image),
        (26, "docker.io/me/app:latest")
    );
    assert!(heap.2.len() > 1_000);
    assert!(
        pools
            .pools()
            .iter()
            .all(|(_, pool)| pool.stats().outstanding() == 0)
    );
}

/// Runs a command of the system; `None` where there is none.
fn said(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).ok()
}

#[cfg(unix)]
#[test]
fn archives_are_read_by_tar() {
    let (root, files) = sources();
    let folder = tempfile::tempdir().unwrap();
    let plain = archive::tar(&root, &files, &Heap, Vec::new(), |_| ()).unwrap();
    let packed =
        archive::tar_gz(&root, &files, &Pooled::new().unwrap(), Vec::new(), |_| ()).unwrap();
    std::fs::write(folder.path().join("a.tar"), plain).unwrap();
    std::fs::write(folder.path().join("a.tar.gz"), packed).unwrap();
    for archive in ["a.tar", "a.tar.gz"] {
        let Some(listed) = said("tar", &["-tf", archive], folder.path()) else {
            return;
        };
        assert_eq!(listed.lines().count(), files.len());
        said("tar", &["-xf", archive], folder.path());
        for file in &files {
            let below = file.strip_prefix(&root).unwrap();
            let unpacked = folder.path().join(below);
            assert_eq!(
                std::fs::read(&unpacked).unwrap(),
                std::fs::read(file).unwrap()
            );
            std::fs::remove_file(unpacked).unwrap();
        }
    }
}

#[cfg(unix)]
#[test]
fn long_names_are_read_by_tar() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tree");
    let files: Vec<PathBuf> = [10, 99, 100, 101, 240]
        .map(|length| root.join("folder".repeat(9)).join("n".repeat(length)))
        .into();
    std::fs::create_dir_all(files[0].parent().unwrap()).unwrap();
    for file in &files {
        std::fs::write(file, file.as_os_str().as_encoded_bytes()).unwrap();
    }
    let archived = archive::tar(&root, &files, &Heap, Vec::new(), |_| ()).unwrap();
    std::fs::write(folder.path().join("a.tar"), archived).unwrap();
    std::fs::create_dir(folder.path().join("out")).unwrap();
    if said("tar", &["-xf", "a.tar", "-C", "out"], folder.path()).is_none() {
        return;
    }
    for file in &files {
        let unpacked = folder
            .path()
            .join("out")
            .join(file.strip_prefix(&root).unwrap());
        assert_eq!(
            std::fs::read(unpacked).unwrap(),
            file.as_os_str().as_encoded_bytes()
        );
    }
}

#[cfg(unix)]
#[test]
fn digests_are_those_of_sha256sum() {
    let (root, files) = sources();
    let tool = env!("CARGO_BIN_EXE_buildtool");
    let ours = said(tool, &["checksum", "."], &root).unwrap();
    let names: Vec<_> = files
        .iter()
        .map(|file| file.strip_prefix(&root).unwrap())
        .collect();
    let arguments: Vec<String> = names
        .iter()
        .map(|name| format!("./{}", name.display()))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Some(theirs) = said("sha256sum", &arguments, &root) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn a_build_is_asked_of_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let tool = || Command::new(env!("CARGO_BIN_EXE_buildtool"));
    let mut stand_in = tool()
        .arg("stand-in")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(stand_in.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("listening at ").unwrap();
    let output = tool()
        .args(["--stats", "build", "me/app"])
        .arg(sources().0)
        .arg(folder.path().join("context.tar"))
        .args(["--runtime", address])
        .output();
    stand_in.kill().unwrap();
    stand_in.wait().unwrap();
    let output = output.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let tracked = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.ends_with("[info ] built docker.io/me/app:latest\n"),
        "{said}{tracked}"
    );
    for part in ["name and flags", "digests", "archive"] {
        assert!(tracked.contains(part), "{tracked}");
    }
}

#[test]
fn flags_and_references_allocate_nothing_on_warm_pools() {
    let (pools, description) = (Pooled::new().unwrap(), description());
    let work = || {
        let flags = description.as_flags_in(&pools).unwrap();
        let image = Reference::parse("me/app:1")
            .unwrap()
            .text_in(&pools)
            .unwrap();
        flags.iter().count() + image.len()
    };
    work();
    let (_, counts) = count(work);
    assert_eq!(counts.allocations, 0);
}

/// Calls of the allocator for one build of a service, in a new workshop.
fn calls_of_a_build<M: Memory>(memory: &M) -> u64 {
    let ((root, files), description) = (sources(), description());
    let job = Service {
        image: "me/app",
        description: &description,
        context: &root,
        files: &files,
    };
    let work = || {
        let mut log = Log::new(memory, Level::Debug, io::sink());
        let mut workshop = Workshop::new(memory, 1).unwrap();
        let built = workshop.build(&job, &mut log, io::sink(), |_| ()).unwrap();
        log.flush().unwrap();
        built
    };
    work();
    let (built, counts) = count(work);
    assert_eq!(built.flags, 26);
    counts.allocations
}

#[test]
fn a_build_on_warm_pools_allocates_for_its_log_and_its_result_alone() {
    assert_eq!(calls_of_a_build(&Pooled::new().unwrap()), 2);
    let heap = calls_of_a_build(&Heap);
    assert!(heap > 2 * sources().1.len() as u64, "{heap}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_description_gives_the_same_flags_in_every_mode(
        labels in prop::collection::vec(("[a-z.]{1,12}", "[^\0]{0,200}"), 0..20),
    ) {
        let mut description = Description::default();
        for (key, value) in &labels {
            description.label(key, value).unwrap();
        }
        let strings = description.as_flags();
        let pooled = description.as_flags_in(&Pooled::new().unwrap()).unwrap();
        prop_assert!(pooled.iter().eq(&strings));
    }
}
