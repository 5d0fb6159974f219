//! The tool server: primitives as tools of the Model Context Protocol.
//!
//! ```text
//!   client ──request line──▶ rmcp ──arguments──▶ buffer ─▶ primitive
//!          ◀─response line── rmcp ◀──answer text──────────────┘
//! ```
//!
//! What is wrong with a call is the tool's answer, marked as an error, so that the
//! model that made the call reads it. A tool that is not there is an error of the
//! protocol. Requests run side by side; those that write wait for each other.
//!
//! Of an argument that a message has twice `rmcp` keeps the last, and nobody here sees
//! the other; primitives that are called without it refuse both.

use super::database::Codebase;
use super::memory::Memory;
use super::primitive::{Fault, LONGEST_REQUEST, Primitive};
use anyhow::{Context, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ServerHandler, ServiceExt};
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::io::{AsyncRead, AsyncWrite};

/// A longer line is thrown away unread. Requests beyond [`LONGEST_REQUEST`] but below
/// this are answered, and refused.
pub const LONGEST_LINE: usize = 4 * LONGEST_REQUEST;

/// A database that answers tool calls.
pub struct ToolServer<M: Memory> {
    code: Arc<RwLock<Codebase<M>>>,
    tools: Vec<Tool>,
}

impl<M: Memory> ToolServer<M> {
    /// A server over a database.
    #[must_use]
    pub fn new(code: Codebase<M>) -> Self {
        let tools = Primitive::ALL.into_iter().map(tool).collect();
        Self {
            code: Arc::new(RwLock::new(code)),
            tools,
        }
    }

    /// Serves one client until its input ends; requests that it made before that are
    /// answered. Returns [`Codebase::report`].
    ///
    /// # Errors
    ///
    /// If the client does not begin as the protocol says.
    pub async fn serve(
        self,
        input: impl AsyncRead + Send + Unpin + 'static,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<serde_json::Value> {
        let code = Arc::clone(&self.code);
        let transport =
            AsyncRwTransport::new_server(input, output).with_max_line_length(LONGEST_LINE);
        let service = ServiceExt::<RoleServer>::serve(self, transport)
            .await
            .context("the client did not introduce itself")?;
        service
            .waiting()
            .await
            .context("a task of the server failed")?;
        Ok(code.read().unwrap_or_else(PoisonError::into_inner).report())
    }
}

fn tool(primitive: Primitive) -> Tool {
    let serde_json::Value::Object(schema) = primitive.schema() else {
        unreachable!("schemas are objects");
    };
    let hints = ToolAnnotations::new()
        .read_only(!primitive.writes())
        .open_world(false);
    Tool::new(primitive.name(), primitive.description(), schema).with_annotations(hints)
}

/// Carries out a call on a thread that may block.
fn call<M: Memory>(
    code: &RwLock<Codebase<M>>,
    primitive: Primitive,
    arguments: &JsonObject,
) -> CallToolResult {
    let answered = written(code, arguments).and_then(|request| {
        let request =
            std::str::from_utf8(&request).map_err(|error| Fault::Refused(error.to_string()))?;
        let answer = |text: &str| text.to_owned();
        // A panic of an earlier call left the index between two states at worst; the
        // store has all or nothing of it.
        if primitive.writes() {
            code.write()
                .unwrap_or_else(PoisonError::into_inner)
                .call(primitive, request, answer)
        } else {
            code.read()
                .unwrap_or_else(PoisonError::into_inner)
                .ask(primitive, request, answer)
        }
    });
    match answered {
        Ok(answer) => CallToolResult::success(vec![ContentBlock::text(answer)]),
        Err(fault) => CallToolResult::error(vec![ContentBlock::text(fault.to_string())]),
    }
}

/// The arguments as text, in a buffer of the database's memory.
fn written<M: Memory>(
    code: &RwLock<Codebase<M>>,
    arguments: &JsonObject,
) -> Result<M::Buffer, Fault> {
    let strings = arguments.values().filter_map(|value| value.as_str());
    let length: usize = strings.map(str::len).sum();
    if length > LONGEST_REQUEST {
        return Err(Fault::Refused(format!(
            "a request of {length} bytes, at most {LONGEST_REQUEST} are allowed"
        )));
    }
    let mut buffer = code
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .memory()
        .buffer(length + length / 8 + 256);
    let done = serde_json::to_writer(&mut buffer, arguments)
        .and_then(|()| buffer.flush().map_err(serde_json::Error::io));
    done.map_err(|error| Fault::Failed(error.into()))?;
    Ok(buffer)
}

impl<M: Memory> ServerHandler for ToolServer<M> {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("codebase", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(
            "A code database: store files, then search, retrieve, link and transform them.".into(),
        );
        info
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(primitive) = Primitive::named(&request.name) else {
            let known = Primitive::ALL.map(Primitive::name).join(", ");
            return Err(ErrorData::invalid_params(
                format!("no tool {:?}; there is {known}", request.name),
                None,
            ));
        };
        let code = Arc::clone(&self.code);
        let arguments = request.arguments.unwrap_or_default();
        let done = tokio::task::spawn_blocking(move || call(&code, primitive, &arguments)).await;
        done.map(CallToolResponse::from)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

impl<M: Memory> std::fmt::Debug for ToolServer<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolServer")
            .field("memory", &M::NAME)
            .finish_non_exhaustive()
    }
}
