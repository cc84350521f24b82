// Files that programs outside the sandbox obey, or that hide what was done. An agent may change one only with a person's
// approval. The list names what is known, so it is no boundary: a new tool needs a new name here.

interface Row {
  /** Lower-case names, at any depth. `name/` is a folder with all that is below it, `*` any characters within one name. */
  names: string;
  /** What the files do, for the person who is asked. */
  why: string;
}

const TABLE: readonly Row[] = [
  {
    why: 'CI runs it outside the sandbox, with the secrets of the repository',
    names: `.github/ .gitea/ .forgejo/ .gitlab/ .gitlab-ci* .circleci/ .travis.y* appveyor.y* .appveyor.y* azure-pipelines*
      .azure-pipelines/ .azuredevops/ .vsts-ci* .pipelines/ jenkinsfile* .jenkins/ .drone.* .woodpecker* .woodpecker/
      .buildkite/ bitbucket-pipelines* .cirrus.* .semaphore/ .teamcity/ .builds/ .build.y* cloudbuild.* .cloudbuild/
      buildspec.* codefresh.y* .tekton/ .harness/ wercker.y* .ci/ .screwdriver.y* screwdriver.y* .zuul* .zuul.d/ zuul.d/
      netlify.toml .netlify/ vercel.json .vercel/ render.yaml heroku.yml .platform/ .ebextensions/ amplify.yml
      .readthedocs* renovate.json* .renovaterc* .releaserc* .goreleaser* .mergify* codemagic.yaml bitrise.yml`,
  },
  {
    why: 'an editor that opens the folder starts programs from it, or changes its settings',
    names: `.vscode/ .vs/ .idea/ .run/ .zed/ .fleet/ .nova/ .theia/ .helix/ .lapce/ .micro/ .kakrc .kak/ *.code-workspace
      *.sublime-project *.sublime-workspace .settings/ .project .classpath .externaltoolbuilders/ nbproject/ .dir-locals*.el
      .emacs .emacs.d/ .projectile .exrc .vimrc .gvimrc .vim/ .nvimrc .nvim.lua .nvim/ .lvimrc .local.vimrc .ideavimrc
      .devcontainer/ .devcontainer*.json .gitpod* .idx/ .codesandbox/ .stackblitzrc .replit .ycm_extra_conf.py .clangd`,
  },
  {
    why: 'an assistant outside Ruche obeys it, or starts programs that it names',
    names: `.claude/ .claude.json claude.md claude.*.md .cursor/ .cursorrules .windsurf/ .windsurfrules .codeium/ .continue/
      .continuerc* .codex/ .gemini/ gemini.md agents.md agents.override.md .agents/ .agent/ .aider* .roo/ .roorules*
      .roomodes .kilocode/ .kilocodemodes .kiro/ .clinerules* .clinerules/ .cline/ .junie/ .amazonq/ .augment/
      .augment-guidelines .trae/ .goose/ .goosehints .opencode/ opencode.json* .crush.json crush.json .qwen/ qwen.md .warp/
      .mcp/ .mcp.json mcp.json .openhands/ .factory/ .copilot/ .rules .ruler/ .openclaw/`,
  },
  {
    why: 'a shell or version manager reads it when somebody enters the folder, and may run what it says',
    names: `.envrc .envrc.* .direnvrc .direnv/ .autoenv .autoenv.* .env.leave .mise.* .mise/ mise.toml mise.*.toml mise/
      .rtx.* .tool-versions .asdfrc .asdf/ .prototools .proto/ .sdkmanrc .rvmrc devbox.json .devbox/ .flox/ .config/
      .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .zlogout .kshrc
      .cshrc .tcshrc .login .logout .inputrc .tmux.conf .screenrc .xinitrc .xprofile .xsessionrc .pam_environment .pythonrc*
      .pythonstartup .irbrc .pryrc .gdbinit .gdbearlyinit .lldbinit .psqlrc .sqliterc .curlrc .wgetrc .rprofile .renviron
      .octaverc .ssh/ .gnupg/`,
  },
  {
    why: 'a package manager or build tool reads it by itself, and may run what it names',
    names: `.npmrc .yarnrc .yarnrc.* .yarn/ .pnp.* .pnpmfile.* pnpmfile.* .bunfig.toml bunfig.toml .cargo/ .bazelrc
      .bazeliskrc .buckconfig* .bundle/ .gemrc .mvn/ .pypirc pip.conf pip.ini .condarc .terraformrc nuget.config .nuget/
      .sbtopts .jvmopts .pdbrc sitecustomize.py usercustomize.py *.pth`,
  },
  {
    why: 'Git or a manager of its hooks runs what it says at a commit, checkout or push',
    names: `.husky/ .husky.* .huskyrc* .githooks/ githooks/ .git-hooks/ git-hooks/ .git_hooks/ .hooks/ .pre-commit-config*
      .pre-commit-hooks* .pre-commit/ prek.toml lefthook.* lefthook-local.* .lefthook* .lefthook/ .lefthook-local/
      .overcommit* .overcommit/ .lintstagedrc* lint-staged.config.* .simple-git-hooks* simple-git-hooks.* .commitlintrc*
      commitlint.config.* .nano-staged* captainhook.json grumphp.* .cargo-husky/ .rusty-hook.toml hk.pkl .yorkierc*`,
  },
  {
    why: 'it changes what Git fetches, runs, keeps or ignores, or hides changes from a review or a search',
    names: `.gitignore .gitattributes .gitmodules .gitconfig .gitconfig.* .mailmap .lfsconfig .gitreview .gitmessage
      .git-blame-ignore-revs .gitallowed .gitleaks* .gitguardian* .ggshield* .talismanrc .trufflehog* .secretlint*
      .secrets.baseline .git-crypt/ .gitsecret/ .hg/ .hgrc .hgsub .hgignore .svn/ .bzrignore .jj/ .ignore .rgignore
      .ripgreprc .fdignore .agignore .stignore .dvc/ .dvcignore codeowners`,
  },
];

const rows = TABLE.flatMap(({ names, why }) =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => ({ name, why })),
);
/** A landing may have very many paths, so that most are told by a look-up and one expression. */
const EXACT = new Map(rows.filter(({ name }) => !name.includes('*')).map(({ name, why }) => [name, why]));
const wild = rows.filter(({ name }) => name.includes('*'));
const WILD = wild.map(({ name, why }) => ({ name: patternOf(name), why }));
const ANY_WILD = new RegExp(WILD.map(({ name }) => name.source).join('|'), 's');

function patternOf(name: string): RegExp {
  return new RegExp(`^${name.replaceAll('.', '\\.').replaceAll('*', '.*')}$`, 's');
}

/** Why a file needs a person's approval, by its folded path; null if it does not. */
export function obeyedOutside(folded: string): string | null {
  const parts = folded.split('/');
  for (const part of parts) {
    // A file, link or sub-module that stands where a folder is expected counts as that folder.
    const why = EXACT.get(`${part}/`);
    if (why !== undefined) return why;
  }
  const last = parts.at(-1) ?? '';
  const why = EXACT.get(last);
  if (why !== undefined || !ANY_WILD.test(last)) return why ?? null;
  return WILD.find(({ name }) => name.test(last))?.why ?? null;
}
