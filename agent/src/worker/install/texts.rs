//! The service files, as texts. Pure.

use std::path::Path;

use super::{AGENT, Plan, build_user};

/// Where systemd looks for units of the machine's own.
pub const UNIT: &str = "/etc/systemd/system/prbuild-agent.service";
/// Where launchd looks for daemons.
pub const PLIST: &str = "/Library/LaunchDaemons/dev.prbuild.agent.plist";
/// Where rc.d looks for scripts of packages.
pub const RC: &str = "/usr/local/etc/rc.d/prbuild_agent";

/// A unit of systemd. With users for builds, root is the launcher and nothing else.
pub fn systemd(plan: &Plan, program: &Path) -> String {
    let (program, file) = (program.display(), plan.configuration.display());
    let start = match plan.one_user {
        true => format!("User={AGENT}\nExecStart=\"{program}\" run --config \"{file}\""),
        false => {
            let users: String = (0..plan.slots)
                .map(|slot| format!(" --build-user {}", build_user(slot)))
                .collect();
            format!(
                "ExecStart=\"{program}\" launcher --config \"{file}\" --agent-user {AGENT}{users}"
            )
        }
    };
    format!(
        "[Unit]\n\
         Description=PrBuild agent: builds pull requests of the project that this machine is lent to\n\
         Wants=network-online.target\n\
         After=network-online.target\n\n\
         [Service]\n\
         {start}\n\
         Restart=always\n\
         RestartSec=10\n\
         # The agent finishes what runs. Whatever still runs after ten minutes is killed, and run again\n\
         # elsewhere or later: a machine that shuts down waits no longer. To wait: prbuild-agent drain.\n\
         KillMode=mixed\n\
         TimeoutStopSec=10min\n\
         UMask=0022\n\
         PrivateTmp=yes\n\
         ProtectHome=yes\n\
         ProtectSystem=full\n\
         NoNewPrivileges=yes\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// A daemon of launchd.
pub fn launchd(plan: &Plan, program: &Path) -> String {
    let (program, file) = (xml(program), xml(&plan.configuration));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n\
         <key>Label</key><string>dev.prbuild.agent</string>\n\
         <key>UserName</key><string>{AGENT}</string>\n\
         <key>ProgramArguments</key>\n<array>\n\
         <string>/usr/bin/caffeinate</string><string>-s</string>\n\
         <string>{program}</string><string>run</string><string>--config</string><string>{file}</string>\n\
         </array>\n\
         <key>RunAtLoad</key><true/>\n\
         <key>KeepAlive</key><true/>\n\
         <key>ExitTimeOut</key><integer>600</integer>\n\
         <key>StandardErrorPath</key><string>/var/log/prbuild-agent.log</string>\n\
         </dict>\n</plist>\n"
    )
}

/// A script of FreeBSD's rc.d.
pub fn rc(plan: &Plan, program: &Path) -> String {
    let (program, file) = (program.display(), plan.configuration.display());
    format!(
        "#!/bin/sh\n\n\
         # PROVIDE: prbuild_agent\n\
         # REQUIRE: LOGIN NETWORKING\n\
         # KEYWORD: shutdown\n\n\
         . /etc/rc.subr\n\n\
         name=prbuild_agent\n\
         rcvar=prbuild_agent_enable\n\
         load_rc_config $name\n\
         : ${{prbuild_agent_enable:=NO}}\n\n\
         pidfile=/var/run/$name.pid\n\
         command=/usr/sbin/daemon\n\
         command_args=\"-r -P $pidfile -u {AGENT} -S -T $name '{program}' run --config '{file}'\"\n\n\
         run_rc_command \"$1\"\n"
    )
}

/// A task of Windows' scheduler, which starts with the machine, as a user without rights.
pub fn task(plan: &Plan, program: &Path) -> String {
    let (program, file) = (xml(program), xml(&plan.configuration));
    format!(
        "<?xml version=\"1.0\"?>\n\
         <Task version=\"1.2\" xmlns=\"http://schemas.microsoft.com/windows/2004/02/mit/task\">\n\
         <Triggers><BootTrigger><Enabled>true</Enabled></BootTrigger></Triggers>\n\
         <Principals><Principal id=\"Author\"><UserId>S-1-5-19</UserId>\
         <RunLevel>LeastPrivilege</RunLevel></Principal></Principals>\n\
         <Settings><ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\
         <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\
         <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure></Settings>\n\
         <Actions Context=\"Author\"><Exec><Command>{program}</Command>\
         <Arguments>run --config \"{file}\"</Arguments></Exec></Actions>\n\
         </Task>\n"
    )
}

fn xml(path: &Path) -> String {
    let text = path.display().to_string();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
