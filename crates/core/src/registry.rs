//! The registry: a value passed by argument, made of the built-in entries and a person's own.

use crate::architecture::AnyArchitecture;
use crate::config::ConfigError;
use crate::config::Span;
use crate::task::AnyTask;

/// Architectures and tasks by name, in the order in which legends and lists show them.
#[derive(Clone, Default)]
pub struct Registry {
    architectures: Vec<&'static dyn AnyArchitecture>,
    tasks: Vec<&'static dyn AnyTask>,
}

impl Registry {
    /// A registry of these entries.
    pub fn new(architectures: &[&'static dyn AnyArchitecture], tasks: &[&'static dyn AnyTask]) -> Self {
        Registry { architectures: architectures.to_vec(), tasks: tasks.to_vec() }
    }

    /// The same registry with one more architecture; one of the same name is replaced.
    #[must_use]
    pub fn with_architecture(mut self, architecture: &'static dyn AnyArchitecture) -> Self {
        self.architectures.retain(|own| own.info().name != architecture.info().name);
        self.architectures.push(architecture);
        self
    }

    /// The same registry with one more task; one of the same name is replaced.
    #[must_use]
    pub fn with_task(mut self, task: &'static dyn AnyTask) -> Self {
        self.tasks.retain(|own| own.info().name != task.info().name);
        self.tasks.push(task);
        self
    }

    /// The architectures in order.
    pub fn architectures(&self) -> &[&'static dyn AnyArchitecture] {
        &self.architectures
    }

    /// The tasks in order.
    pub fn tasks(&self) -> &[&'static dyn AnyTask] {
        &self.tasks
    }

    /// The architecture of that name.
    ///
    /// # Errors
    /// There is none; the error lists those there are and the nearest.
    pub fn architecture(&self, name: &str, span: &Span) -> Result<&'static dyn AnyArchitecture, ConfigError> {
        let found = self.architectures.iter().find(|entry| entry.info().name == name).copied();
        let names = || self.architectures.iter().map(|entry| entry.info().name);
        found.ok_or_else(|| ConfigError::unknown("architecture", name, names(), span.clone()))
    }

    /// The task of that name.
    ///
    /// # Errors
    /// There is none; the error lists those there are and the nearest.
    pub fn task(&self, name: &str, span: &Span) -> Result<&'static dyn AnyTask, ConfigError> {
        let found = self.tasks.iter().find(|entry| entry.info().name == name).copied();
        let names = || self.tasks.iter().map(|entry| entry.info().name);
        found.ok_or_else(|| ConfigError::unknown("task", name, names(), span.clone()))
    }
}
