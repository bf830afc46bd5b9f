//! Who asks, and what that caller may do.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

use super::log::TokenKind;
use super::model::{Id, Permissions, Repository, Role, Token, World};
use super::rest::Answer;

/// Whom a request speaks for.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Nobody.
    Anonymous,
    /// An App, by its JWT.
    App(Id),
    /// An installation, with what its token may do.
    Installation {
        /// The installation.
        id: Id,
        /// The App's account.
        bot: Id,
        /// The App.
        app: Id,
        /// What the token may do.
        permissions: Permissions,
        /// Where it may do it.
        repositories: Vec<Id>,
    },
    /// A person; `permissions` when the token is fine-grained.
    Person {
        /// The user.
        id: Id,
        /// What a fine-grained token may do.
        permissions: Option<Permissions>,
    },
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// An App's JWT.
    Jwt,
    /// Any of these permissions of a token, to read.
    Read(&'static [&'static str]),
    /// To see webhooks of a repository or, if so, to send deliveries again: the permission
    /// `repository_hooks` of a token, and the role admin of a person.
    Hooks(bool),
    /// Any of these permissions of a token, to write, and this role of a person.
    Write(&'static [&'static str], Role),
}

impl Caller {
    /// For the log.
    pub fn kind(&self) -> TokenKind {
        match self {
            Self::Anonymous => TokenKind::None,
            Self::App(_) => TokenKind::Jwt,
            Self::Installation { .. } => TokenKind::Installation,
            Self::Person { .. } => TokenKind::Personal,
        }
    }

    /// Whose budget of requests is used.
    pub fn budget(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::App(id) => format!("app {id}"),
            Self::Installation { id, .. } => format!("installation {id}"),
            Self::Person { id, .. } => format!("user {id}"),
        }
    }

    /// The account that writes, and the App if it is one.
    pub fn writer(&self) -> Option<(Id, Option<Id>)> {
        match self {
            Self::Installation { bot, app, .. } => Some((*bot, Some(*app))),
            Self::Person { id, .. } => Some((*id, None)),
            Self::Anonymous | Self::App(_) => None,
        }
    }

    /// Whether the caller may do on this repository what a route asks.
    pub fn may(
        &self,
        world: &World,
        repository: Option<&Repository>,
        needs: Needs,
    ) -> Result<(), Answer> {
        let (names, role) = match needs {
            Needs::Nothing => return Ok(()),
            Needs::Jwt => {
                return match self {
                    Self::App(_) => Ok(()),
                    _ => Err(Answer::error(401, "A JSON web token could not be decoded")),
                };
            }
            Needs::Read(names) => (names, Role::Read),
            Needs::Write(names, role) => (names, role),
            Needs::Hooks(write) => return self.may_see_hooks(world, repository, write),
        };
        let write = matches!(needs, Needs::Write(..));
        match self {
            Self::Anonymous if write => Err(Answer::error(401, "Requires authentication")),
            Self::Anonymous => Ok(()),
            Self::App(_) => Err(Answer::error(401, "Requires authentication")),
            Self::Installation {
                permissions,
                repositories,
                ..
            } => {
                // Public things of others may be read, as anybody may.
                let covered = repository.is_none_or(|one| repositories.contains(&one.id));
                if !covered && !write || covered && granted(permissions, names, write) {
                    return Ok(());
                }
                Err(Answer::error(403, "Resource not accessible by integration"))
            }
            Self::Person { id, permissions } => {
                if permissions
                    .as_ref()
                    .is_some_and(|granted_to| !granted(granted_to, names, write))
                {
                    return Err(Answer::error(
                        403,
                        "Resource not accessible by personal access token",
                    ));
                }
                match repository {
                    Some(one) if write && world.role(one, *id).0 < role => Err(Answer::error(
                        403,
                        "Must have write access to the repository.",
                    )),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Nobody learns of webhooks but those who manage them; to others there are none.
    fn may_see_hooks(
        &self,
        world: &World,
        repository: Option<&Repository>,
        write: bool,
    ) -> Result<(), Answer> {
        let names = &["repository_hooks"];
        match (self, repository) {
            (Self::Anonymous | Self::App(_), _) => {
                Err(Answer::error(401, "Requires authentication"))
            }
            (
                Self::Installation {
                    permissions,
                    repositories,
                    ..
                },
                Some(one),
            ) => match repositories.contains(&one.id) && granted(permissions, names, write) {
                true => Ok(()),
                false => Err(Answer::error(403, "Resource not accessible by integration")),
            },
            (Self::Person { id, permissions }, Some(one)) => {
                let narrow = permissions.as_ref();
                if narrow.is_some_and(|granted_to| !granted(granted_to, names, write)) {
                    let message = "Resource not accessible by personal access token";
                    return Err(Answer::error(403, message));
                }
                match world.role(one, *id).0 {
                    Role::Admin => Ok(()),
                    _ => Err(Answer::not_found()),
                }
            }
            (_, None) => Err(Answer::not_found()),
        }
    }

    /// Whether the caller sees a repository at all.
    pub fn sees(&self, repository: &Repository) -> bool {
        if !repository.private {
            return true;
        }
        match self {
            Self::Anonymous | Self::App(_) => false,
            Self::Installation { repositories, .. } => repositories.contains(&repository.id),
            Self::Person { id, .. } => {
                repository.owner == *id
                    || repository
                        .permissions
                        .get(id)
                        .is_some_and(|(role, _)| *role >= Role::Read)
            }
        }
    }
}

fn granted(permissions: &Permissions, names: &[&str], write: bool) -> bool {
    names.iter().any(|name| {
        // Every token may read metadata.
        *name == "metadata" && !write
            || permissions.get(*name).is_some_and(|level| {
                level == "write" || level == "admin" || level == "read" && !write
            })
    })
}

/// Finds out who asks, from the `Authorization` header. JWTs are checked against the machine's real
/// clock, since that is what their maker reads, unless a story is about that; tokens expire by the
/// forge's clock.
pub fn identify(world: &World, headers: &HeaderMap, now: Timestamp) -> Result<Caller, Answer> {
    let Some(header) = headers.get(http::header::AUTHORIZATION) else {
        return Ok(Caller::Anonymous);
    };
    let bad = || Answer::error(401, "Bad credentials");
    let secret = secret_of(header.to_str().unwrap_or_default()).ok_or_else(bad)?;
    if secret.starts_with("ey") && secret.matches('.').count() == 2 {
        let read = match world.dates_jwts {
            true => now,
            false => Timestamp::now(),
        };
        return jwt(world, &secret, read);
    }
    match world.tokens.get(&secret).ok_or_else(bad)? {
        Token::Personal { expires_at, .. } if expires_at.is_some_and(|end| end <= now) => {
            Err(bad())
        }
        Token::Personal {
            user, permissions, ..
        } => Ok(Caller::Person {
            id: *user,
            permissions: permissions.clone(),
        }),
        Token::Installation { expires_at, .. } if *expires_at <= now => Err(bad()),
        Token::Installation {
            installation,
            permissions,
            repositories,
            ..
        } => {
            let one = world.installations.get(installation).ok_or_else(bad)?;
            if one.suspended {
                return Err(Answer::error(403, "This installation has been suspended"));
            }
            let app = world.apps.get(&one.app).ok_or_else(bad)?;
            Ok(Caller::Installation {
                id: *installation,
                bot: app.bot,
                app: app.id,
                permissions: permissions.clone(),
                repositories: repositories.clone(),
            })
        }
    }
}

/// The secret of `Bearer`, `token` or `Basic` credentials; git sends the latter.
fn secret_of(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Some(rest.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
            pair.split_once(':')
                .map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

/// Checks an App's JWT as GitHub does: RS256 by its key, issued in the past, ending within ten minutes.
fn jwt(world: &World, token: &str, now: Timestamp) -> Result<Caller, Answer> {
    let undecodable = || Answer::error(401, "A JSON web token could not be decoded");
    let (signed, signature) = token.rsplit_once('.').ok_or_else(undecodable)?;
    let (header, claims) = signed.split_once('.').ok_or_else(undecodable)?;
    let json = |part: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let header = json(header).ok_or_else(undecodable)?;
    let claims = json(claims).ok_or_else(undecodable)?;
    let issuer = claims["iss"]
        .as_u64()
        .or_else(|| claims["iss"].as_str()?.parse().ok());
    let app = issuer.and_then(|id| world.apps.get(&id));
    let app = app.ok_or_else(|| Answer::error(404, "Integration not found"))?;
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| undecodable())?;
    let keys = [Some(&app.public_key), app.next_key.as_ref()];
    let is_signed = keys.into_iter().flatten().any(|key| {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
        key.verify(signed.as_bytes(), &signature).is_ok()
    });
    if header["alg"] != "RS256" || !is_signed {
        return Err(undecodable());
    }
    let (now, issued, ends) = (
        now.as_second(),
        claims["iat"].as_i64(),
        claims["exp"].as_i64(),
    );
    let complaint = match (issued, ends) {
        (_, Some(end)) if end > now + 600 => {
            "'Expiration time' claim ('exp') is too far in the future"
        }
        (_, Some(end)) if end <= now => {
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
        }
        (Some(start), Some(_)) if start <= now => return Ok(Caller::App(app.id)),
        (Some(_), Some(_)) => {
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
        }
        _ => "Missing 'issued at' claim ('iat') or 'expiration time' claim ('exp') in assertion",
    };
    Err(Answer::error(401, complaint))
}
