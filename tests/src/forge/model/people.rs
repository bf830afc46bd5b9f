//! Users, organizations, teams and roles.

use jiff::Timestamp;

use super::Id;

/// What kind of account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserType {
    /// A person.
    User,
    /// The account of an App or an automation.
    Bot,
    /// An organization, which owns repositories and has teams.
    Organization,
    /// A placeholder for somebody whose history was imported.
    Mannequin,
}

impl UserType {
    /// As the API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Bot => "Bot",
            Self::Organization => "Organization",
            Self::Mannequin => "Mannequin",
        }
    }
}

/// An account. Its id stays when it is renamed.
#[derive(Clone, Debug)]
pub struct User {
    /// Numeric id, never used again.
    pub id: Id,
    /// The name, which its owner may change.
    pub login: String,
    /// What kind of account it is.
    pub kind: UserType,
}

/// What somebody may do in a repository, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Nothing.
    None,
    /// Look.
    Read,
    /// Label and close.
    Triage,
    /// Push.
    Write,
    /// Manage without the dangerous parts.
    Maintain,
    /// Everything.
    Admin,
}

impl Role {
    /// As `role_name` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The older field `permission`, which knows neither maintain nor triage.
    #[must_use]
    pub fn legacy(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// A team of an organization.
#[derive(Clone, Debug)]
pub struct Team {
    /// Numeric id.
    pub id: Id,
    /// The organization.
    pub organization: Id,
    /// The name in URLs.
    pub slug: String,
    /// Members and whether they accepted the invitation.
    pub members: Vec<(Id, bool)>,
    /// When it was made.
    pub created_at: Timestamp,
}
